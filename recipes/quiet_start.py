"""Starts TensorFlow without the lines that its C++ log opens with.

They come before any log level is obeyed, on every start, and say nothing that
a person could act on (that oneDNN is on, that there is no CUDA).
"""

import contextlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator


def start_backend() -> float:
    """Imports Keras and its backend quietly; returns the seconds it took.

    Warnings that TensorFlow's Python side gives later, such as about retraced
    functions, are left to real errors too.
    """
    start = time.perf_counter()
    with _held_back():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()
        # What is first computed prints too.
        keras.ops.convert_to_numpy(keras.ops.zeros(1))
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return time.perf_counter() - start


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Holds back what is written to standard error; shows it on failure."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
