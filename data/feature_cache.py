"""Keeps the features of frozen networks on disk between runs.

Features are a function of an image and of a network. A folder named after the
network holds those of all images that it has seen, so that another seed, limit
or handful of new photos computes only what is new; a changed image, backbone,
weight, size or preprocessing simply has another name. Each run that adds
something writes a file of its own, and beside it a list of its images.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dropzoo.data.writable_folder import writable_folder
from dropzoo.models.atomic_write import atomic_write
from dropzoo.models.cache_folder import cache_folder

if TYPE_CHECKING:
    import keras

FORMAT = "2"  # to be raised when the same inputs give other features


@dataclass(frozen=True, eq=False)
class Features:
    """Features of images in files of little-endian float32.

    Args:
        files: The files.
        places: Where each image's are: the position of a file in `files` and
            the row in it, `(images, 2)` int64.
        shape: `(images, views, channels)`.
        num_computed: Number of images whose features were not there before.
    """

    files: tuple[Path, ...]
    places: np.ndarray
    shape: tuple[int, int, int]
    num_computed: int

    @property
    def num_bytes(self) -> int:
        """Size of the features in memory."""
        return 4 * int(np.prod(self.shape))

    def read(self) -> np.ndarray:
        """All features, `(images, views, channels)`, in memory."""
        return self.take(np.arange(self.shape[0]))

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The features of some images, `(n, views, channels)`.

        Rows are read one by one, so that memory holds only what is asked for.

        Args:
            positions: Which images, `(n,)`; each in [0, images).
        """
        taken = np.empty((len(positions), *self.shape[1:]), "<f4")
        places = self.places[positions]
        size = taken[:1].nbytes
        for number in np.unique(places[:, 0]):
            with self.files[number].open("rb") as file:
                for index in np.flatnonzero(places[:, 0] == number):
                    start = size * int(places[index, 1])
                    row = os.pread(file.fileno(), size, start)
                    taken[index] = np.frombuffer(row, "<f4").reshape(
                        self.shape[1:]
                    )
        return taken


def identify_backbone(model: "keras.Model") -> str:
    """A digest of all that decides a network's features.

    It covers the architecture, the input size, the preprocessing, every
    weight, and the version of Keras, whose resizing goes before the network.

    Args:
        model: A functional model.

    Returns: 64 hexadecimal digits.
    """
    import keras

    facts = [FORMAT, keras.__version__, model.get_config()]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def cached_features(
    backbone: str,
    image_digests: Sequence[str],
    views: Sequence[str],
    channels: int,
    compute: Callable[[list[int]], Iterable[np.ndarray]],
) -> Features:
    """Finds the features of some images, or computes and keeps them.

    Where the cache cannot be written to, a warning says so, and what is new
    is kept in a temporary file until the process ends.

    Args:
        backbone: From `identify_backbone`.
        image_digests: Digest of each image, in order.
        views: Names of the fixed views of each image, such as `"mirror"`.
        channels: Number of features of a view.
        compute: Gives the features of the images at some positions batch by
            batch, each `(batch, views, channels)`; called only for images
            that are not cached.

    Returns: The features, on disk.

    Raises:
        ValueError: `compute` gives more or fewer features than that; nothing
            is kept then.
        OSError: The disk is full.
    """
    row_shape = len(views), channels
    folder = cache_folder("features") / _digest([backbone, list(views)])
    wanted = set(image_digests)
    files: list[Path] = []
    found: dict[str, tuple[int, int]] = {}
    for file, digests in _kept_files(folder, 4 * int(np.prod(row_shape))):
        for row, digest in enumerate(digests):
            if digest in wanted:
                found[digest] = len(files), row
        files.append(file)
    missing = {d: i for i, d in enumerate(image_digests) if d not in found}
    if missing:
        batches = compute(list(missing.values()))
        shape = (len(missing), *row_shape)
        new = _keep(folder, list(missing), shape, batches)
        found |= {d: (len(files), row) for row, d in enumerate(missing)}
        files.append(new)
    return Features(
        tuple(files),
        np.array([found[d] for d in image_digests], int).reshape(-1, 2),
        (len(image_digests), *row_shape),
        num_computed=len(missing),
    )


def _digest(facts: list) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _kept_files(
    folder: Path, row_bytes: int
) -> Iterator[tuple[Path, list[str]]]:
    """Files of features that are whole, each with its images' digests."""
    for listing in sorted(folder.glob("*.txt")):
        file = listing.with_suffix(".f32")
        digests = listing.read_text("ascii", "replace").split("\n")
        size = file.stat().st_size if file.is_file() else 0
        if size == row_bytes * len(digests):
            yield file, digests


def _keep(
    folder: Path,
    digests: list[str],
    shape: tuple[int, int, int],
    batches: Iterable[np.ndarray],
) -> Path:
    """Writes features, and last the list without which they do not count."""
    num_bytes = 4 * int(np.prod(shape))
    path = writable_folder(folder, num_bytes) / f"{_digest(digests)[:16]}.f32"
    try:
        with atomic_write(path) as part, part.open("wb") as file:
            for batch in batches:
                file.write(np.ascontiguousarray(batch, "<f4").tobytes())
            if file.tell() != num_bytes:
                raise ValueError(
                    f"cached_features: `compute` must give {num_bytes:,} "
                    f"bytes, for the shape {shape}. Received: {file.tell():,}"
                )
        with atomic_write(path.with_suffix(".txt")) as part:
            part.write_text("\n".join(digests), "ascii")
    except OSError as error:
        raise OSError(
            f"cached_features: {num_bytes:,} bytes of features cannot be "
            f"written to {path.parent} ({error.strerror or error}); free space "
            "there, or let `DROPZOO_CACHE` name a folder on another disk."
        ) from error
    return path
