"""Random access to TFRecord files, which are meant to be read in order."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Before a record: its length (uint64, little-endian) and a checksum of that
# (uint32); behind it a checksum of the record (uint32).
HEADER = struct.Struct("<QI")
FOOTER_BYTES = 4


class TFRecordFiles:
    """The records of several uncompressed TFRecord files, by position.

    The files' headers are walked once, without reading the records, to note
    where each begins: 16 bytes of memory a record. Reading is safe from
    several threads at once.

    Args:
        paths: The files, in order.

    Raises:
        ValueError: when a file ends within a record or is no TFRecord file.
        OSError: when a file cannot be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        extents = [_extents(path) for path in paths]
        counts = [len(extent) for extent in extents]
        self._files = np.repeat(np.arange(len(paths)), counts)
        self._extents = np.concatenate([np.empty((0, 2), np.int64), *extents])

    def __len__(self) -> int:
        """The number of records."""
        return len(self._files)

    def __getitem__(self, index: int) -> bytes:
        """Returns one record.

        Args:
            index: Its position, in [0, n).
        """
        start, length = map(int, self._extents[index])
        with self.paths[self._files[index]].open("rb") as file:
            file.seek(start)
            return file.read(length)


def _extents(path: Path) -> np.ndarray:
    """Returns start and length of every record, `(n, 2)` int64."""
    extents: list[tuple[int, int]] = []
    end = 0
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        while end < size:
            file.seek(end)
            header = file.read(HEADER.size)
            length = (
                HEADER.unpack(header)[0] if len(header) == HEADER.size else size
            )
            start = end + HEADER.size
            end = start + length + FOOTER_BYTES
            extents.append((start, length))
    if end > size:
        raise ValueError(
            f"TFRecordFiles: '{path}' must be a whole, uncompressed TFRecord "
            f"file. Received: {size:,} bytes that end within record "
            f"{len(extents)}"
        )
    return np.array(extents, dtype=np.int64).reshape(-1, 2)
