"""The random streams that belong to the process and to no model."""

import contextlib
import importlib
import random
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


def get_streams() -> dict[str, Any]:
    """Where the global streams of Python, NumPy and PyTorch are.

    PyTorch's only where Keras runs on it: Keras's `Dropout` without a seed
    draws from it there.

    Returns: Numbers, strings and arrays in dicts and lists.
    """
    streams = {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),
    }
    if keras.backend.backend() == "torch":
        torch = importlib.import_module("torch")  # of an extra
        streams["torch"] = torch.get_rng_state().numpy()
    return streams


def set_streams(streams: dict[str, Any]) -> None:
    """Puts them back.

    Args:
        streams: From `get_streams`, perhaps by way of a file.
    """
    version, numbers, gauss = streams["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(streams["numpy"])
    if keras.backend.backend() == "torch":
        torch = importlib.import_module("torch")
        torch.set_rng_state(torch.from_numpy(streams["torch"].copy()))


@contextlib.contextmanager
def kept_streams() -> Iterator[None]:
    """Puts them back after a block, whatever happens in it."""
    streams = get_streams()
    try:
        yield
    finally:
        set_streams(streams)
