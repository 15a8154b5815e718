"""What a source hands over, before anything is checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .findings import Rejection

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")


@dataclass(eq=False)
class Collection:
    """Labelled images as a source holds them: unchecked and unsplit.

    Args:
        name: What a person calls the source.
        class_names: In the order of the labels; a class may have no image.
        labels: `(n,)` class positions.
        names: What a person calls each image.
        splits: `(n,)` of "train", "validation" or "test". A source without
            splits says "train" throughout.
        content: Maps a position to an encoded image file's bytes or to
            `(height, width, 3)` uint8 RGB; raises `ImageError` where it
            cannot. Must be safe from several threads at once.
        encoded: Whether `content` gives files, which take time to decode,
            rather than pixels.
        flips_are_safe: Whether a mirrored image keeps its label; `None` lets
            the size of the images decide.
        rejected: Images that never became part of the collection.
        ignored: Number of files that are no images, by kind.
        notes: What the source decided, in sentences.
        warnings: What a person should look into, in sentences.
    """

    name: str
    class_names: Sequence[str]
    labels: np.ndarray
    names: Sequence[str]
    splits: np.ndarray
    content: Callable[[int], bytes | np.ndarray]
    encoded: bool = True
    flips_are_safe: bool | None = None
    rejected: list[Rejection] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def encode_labels(
    originals: Sequence[str] | np.ndarray,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Numbers labels of any kind from 0 without gaps.

    Args:
        originals: One whole number or string per image. Classes are sorted:
            numbers by value, strings as Python does.

    Returns:
        Class positions, `(n,)` int32, and the classes' names.
    """
    values, positions = np.unique(np.asarray(originals), return_inverse=True)
    labels = positions.reshape(-1).astype(np.int32)
    return labels, tuple(str(value) for value in values)


def printable(name: str) -> str:
    """Returns a name that can be printed anywhere.

    Control characters and bytes that are not UTF-8 are written as escapes:
    a file name must not move the cursor or break a report.
    """
    return "".join(
        letter
        if letter.isprintable()
        else letter.encode("unicode_escape").decode("ascii")
        for letter in name
    )
