"""The source `idx:FOLDER`: the four files in which MNIST is handed on."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from .collection import Collection
from .labelled_arrays import Labelled, collect_arrays
from .pixel_arrays import check_image_shape

PREFIXES = ("train", "t10k")
# The last byte of the magic number is the number of axes; 8 before it says
# that values are unsigned bytes.
BYTES = 0x0800
MOST_BYTES = 2**31  # in memory at once


def collect_idx(path: str) -> Collection:
    """Collects images and labels of a folder of idx files.

    They are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same
    with `t10k` for the test set, each as it is or with `.gz` behind it. Classes
    are called by their numbers.

    Args:
        path: The folder.

    Raises:
        FileNotFoundError: when the folder or one of the files is not there.
        ValueError: when a file is damaged, or images and labels disagree.
    """
    folder = Path(path).expanduser()
    train, test = (_read_pair(folder, prefix) for prefix in PREFIXES)
    highest = max(int(labels.max(initial=0)) for _, labels in (train, test))
    class_names = [str(number) for number in range(highest + 1)]
    name = folder.resolve().name
    return collect_arrays(name, class_names, train, test)


def _read_pair(folder: Path, prefix: str) -> Labelled:
    images = read_idx(_find(folder, f"{prefix}-images-idx3-ubyte"), axes=3)
    labels = read_idx(_find(folder, f"{prefix}-labels-idx1-ubyte"), axes=1)
    if len(images) != len(labels):
        raise ValueError(
            f"load: '{folder}' must hold as many {prefix} labels as images. "
            f"Received: {len(labels):,} labels for {len(images):,} images"
        )
    if len(images):
        check_image_shape(images, f"{prefix}-images")
    return images, labels


def _find(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    raise FileNotFoundError(
        f"load: there is no file '{folder / name}', with or without .gz; "
        "idx:FOLDER needs images and labels of train and t10k"
    )


def read_idx(file: Path, axes: int) -> np.ndarray:
    """Reads one idx file of unsigned bytes.

    Args:
        file: The file; one that ends in .gz is unpacked.
        axes: Number of axes that it must have.

    Returns: uint8 of the shape that the file names.

    Raises: ValueError when it is damaged or of another kind.
    """
    opened = gzip.open if file.suffix == ".gz" else Path.open
    try:
        with opened(file, "rb") as stream:
            head = stream.read(4 + 4 * axes)
            shape = _shape(file, head, axes)
            # A byte more than it should have is enough to tell: a file that
            # unpacks to more is never held in memory.
            values = stream.read(math.prod(shape) + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(file, str(error)) from None
    if len(values) != math.prod(shape):
        less = "fewer" if len(values) < math.prod(shape) else "more"
        raise _damaged(file, f"it has {less} values than it says")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _shape(file: Path, head: bytes, axes: int) -> tuple[int, ...]:
    """The shape that the first bytes of a file name."""
    numbers = np.frombuffer(head[: len(head) // 4 * 4], ">u4").tolist()
    magic, *shape = numbers or [0]
    if magic != BYTES + axes or len(shape) != axes:
        raise _damaged(file, f"it does not begin as one of {axes} axes")
    if math.prod(shape) > MOST_BYTES:
        raise _damaged(file, f"it says to hold {math.prod(shape):,} bytes")
    return tuple(shape)


def _damaged(file: Path, reason: str) -> ValueError:
    return ValueError(
        f"load: '{file}' is damaged, or is not an idx file of bytes: {reason}"
    )
