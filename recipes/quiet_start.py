"""Starts Keras without the lines that TensorFlow's C++ log opens with.

They come before any log level is obeyed, on every start, and say nothing that
a person could act on (that oneDNN is on, that there is no CUDA). Whoever sets
`TF_CPP_MIN_LOG_LEVEL` sees them.
"""

import contextlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator


def quiet_start() -> list[str]:
    """Imports Keras and its backend, holding back their first lines.

    Returns: The devices that were found, such as `["cpu:0"]`. What was held
        back is shown when the import fails.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return _start()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with _held_back():
        devices = _start()
    # TensorFlow warns of functions that are traced again for another network.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return devices


def announced_start() -> None:
    """Starts as `quiet_start` does, and says how long it took and on what."""
    start = time.perf_counter()
    devices = quiet_start()
    print(
        f"Keras started in {time.perf_counter() - start:.1f} s "
        f"on {', '.join(devices)}.",
        file=sys.stderr,
    )


def _start() -> list[str]:
    import keras

    return keras.distribution.list_devices()


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
