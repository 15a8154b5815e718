"""Labelled images of one split, read one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled images of one split, read one at a time.

    Only labels, names and digests are kept in memory, a few megabytes for
    20,000 images; pixels are read when asked for, so that a folder larger
    than memory works. Reading is safe from several threads at once.

    Args:
        labels: Class positions, `(n,)` int32, each at least 0.
        names: What a person calls each image: its path below the folder, or
            "train[17]".
        digests: SHA-256 of each image's content in hexadecimal: of a file's
            bytes; of shape and pixels where the source holds arrays. Equal
            digests mean equal images.
        reader: Maps a position in this split to an image,
            `(height, width, 3)` uint8 RGB.

    Raises:
        ValueError: when labels, names and digests differ in number.
    """

    labels: np.ndarray
    names: Sequence[str]
    digests: Sequence[str]
    reader: Callable[[int], np.ndarray]

    def __post_init__(self) -> None:
        lengths = len(self.labels), len(self.names), len(self.digests)
        if len(set(lengths)) != 1:
            raise ValueError(
                "Examples: `labels`, `names` and `digests` must be equally "
                "long. Received lengths: {}, {} and {}".format(*lengths)
            )

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def read(self, index: int) -> np.ndarray:
        """Returns one image, `(height, width, 3)` uint8 RGB.

        Args:
            index: Position in this split, in [0, n).

        Raises:
            IndexError: when there is no such position.
            ImageError: when the image has become unreadable since it was
                checked.
        """
        if not 0 <= index < len(self):
            raise IndexError(
                f"Examples.read: `index` must be in [0, {len(self)}). "
                f"Received: index={index!r}"
            )
        return self.reader(int(index))

    def subset(self, indices: Sequence[int] | np.ndarray) -> Examples:
        """Returns the images at some positions, in the order given.

        Args:
            indices: Positions in this split, each in [0, n); repeats are
                allowed.

        Raises:
            IndexError: when a position is outside this split.
        """
        chosen = np.asarray(indices, dtype=np.int64).reshape(-1)
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(self):
            raise IndexError(
                f"Examples.subset: `indices` must be in [0, {len(self)}). "
                f"Received: {chosen.min()} to {chosen.max()}"
            )
        return Examples(
            labels=self.labels[chosen],
            names=[self.names[index] for index in chosen.tolist()],
            digests=[self.digests[index] for index in chosen.tolist()],
            reader=_Selection(self.reader, chosen),
        )

    def with_labels(self, labels: np.ndarray) -> Examples:
        """Returns the same images under other labels, `(n,)` int32.

        Raises:
            ValueError: when there is not one label for each image.
        """
        return replace(self, labels=labels)


def concatenate(parts: Sequence[Examples]) -> Examples:
    """Joins several splits into one, in the order given.

    Args:
        parts: At least one split; their labels must mean the same classes.

    Raises:
        ValueError: when there is nothing to join.
    """
    if not parts:
        raise ValueError(
            "concatenate: `parts` must hold at least one split. Received: []"
        )
    return Examples(
        labels=np.concatenate([part.labels for part in parts]),
        names=[name for part in parts for name in part.names],
        digests=[digest for part in parts for digest in part.digests],
        reader=_Chain(tuple(parts)),
    )


class _Selection:
    """Reads position `i` as position `indices[i]` of another reader."""

    def __init__(
        self, reader: Callable[[int], np.ndarray], indices: np.ndarray
    ) -> None:
        self.reader = reader
        self.indices = indices

    def __call__(self, index: int) -> np.ndarray:
        return self.reader(int(self.indices[index]))


class _Chain:
    """Reads from several splits as if they were one."""

    def __init__(self, parts: tuple[Examples, ...]) -> None:
        self.parts = parts
        self.ends = np.cumsum([len(part) for part in parts])

    def __call__(self, index: int) -> np.ndarray:
        part = int(np.searchsorted(self.ends, index, side="right"))
        start = self.ends[part] - len(self.parts[part])
        return self.parts[part].reader(int(index - start))
