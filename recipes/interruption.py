"""Ctrl-C as a request that is answered at a clean point.

Python's own handler raises wherever the program happens to be. In the callback
of a weak reference or in a finaliser, which TensorFlow has many of, the
exception is printed and lost, and the program runs on. Here the handler only
notes the request, and the program asks for it: after each batch and between
steps. A second Ctrl-C raises at once.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

NOTICE = b"\nStopping after this batch or step; Ctrl-C again stops at once.\n"

_requested = False


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, Ctrl-C waits for `check_interruption`.

    A request that comes after the last check is dropped: what it would have
    stopped is done. Python's handler is put back at the end. Outside the main
    thread, or where somebody else handles Ctrl-C, nothing is changed.
    """
    global _requested
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not is_main or before is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _requested = False


def check_interruption() -> None:
    """Answers a Ctrl-C that was noted.

    Raises: KeyboardInterrupt when there was one.
    """
    if _requested:
        raise KeyboardInterrupt


def _note(number: int, frame: FrameType | None) -> None:
    global _requested
    if _requested:
        signal.default_int_handler(number, frame)
    _requested = True
    os.write(2, NOTICE)  # a handler may not enter Python's buffers
