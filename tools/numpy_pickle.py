"""Reads a pickle of NumPy arrays without running its program.

A pickled array asks for three things: a maker of empty arrays, the class of
arrays, and types of numbers. They are given as harmless stand-ins; a file that
asks for anything else is refused before that thing is called.

Reference: NumPy, `numpy/_core/multiarray.py`, `_reconstruct`; the states of
`ndarray` and `dtype` as their `__reduce__` gives them.
"""

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from dropzoo.models.restricted_pickle import DAMAGE, Forbidden

MODULES = {"numpy.core.multiarray", "numpy._core.multiarray"}
NUMBERS = {"f4", "f8", "i4", "i8"}


def read_arrays(path: Path) -> dict[str, list[np.ndarray]]:
    """Reads a pickled dictionary of lists of arrays.

    Args:
        path: The file.

    Returns: Names and arrays, in the order of the file.

    Raises: ValueError when the file is damaged, holds something else, or asks
        to build anything but arrays. Nothing in it is executed.
    """
    try:
        with path.open("rb") as file:
            content = _Unpickler(file).load()
        return {
            str(name): [_Array.numpy(array) for array in arrays]
            for name, arrays in content.items()
        }
    except Forbidden as error:
        raise ValueError(f"Refused to read {path.name}: {error}") from None
    except DAMAGE as error:
        raise ValueError(
            f"{path.name} is not a whole pickle of arrays "
            f"({type(error).__name__}: {error}); get the file again."
        ) from None


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # New functions each time: a pickle may set attributes of what it gets.
        if module in MODULES and name == "_reconstruct":
            return lambda *parts: _Array()
        if (module, name) == ("numpy", "dtype"):
            return lambda kind, *parts: _Kind(kind)
        if (module, name) == ("numpy", "ndarray"):
            return name  # handed to `_reconstruct`, which needs it no more
        raise Forbidden(
            f"it asks for `{module}.{name}`, and only arrays are allowed."
        )


class _Kind:
    """A type of numbers."""

    __slots__ = ("name", "order")

    def __init__(self, name: Any):
        if name not in NUMBERS:
            raise ValueError(f"unknown type of numbers {name!r}")
        self.name, self.order = name, "<"

    def __setstate__(self, state: Any) -> None:
        _, order, *_ = state
        if order not in ("<", ">"):
            raise ValueError(f"unknown order of bytes {order!r}")
        self.order = order

    def numpy(self) -> np.dtype:
        return np.dtype(self.order + self.name)


class _Array:
    """An array, of which the state comes later."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def numpy(self) -> np.ndarray:
        _, shape, kind, is_fortran, content = self.state
        if not isinstance(content, bytes) or min(shape, default=0) < 0:
            raise ValueError("an array has no bytes, or a negative size")
        dtype = _Kind.numpy(kind)
        if len(content) != math.prod(shape) * dtype.itemsize:
            raise ValueError("an array has another size than its bytes")
        order = "F" if is_fortran else "C"
        return np.frombuffer(content, dtype).reshape(shape, order=order)
