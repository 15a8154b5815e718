"""Keeps the features of frozen networks on disk between runs.

Features are a function of the images and of the network. The name of a cached
file is a digest of both, so that a changed image, backbone, weight, size or
preprocessing simply has another name.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dropzoo.models.atomic_write import atomic_write
from dropzoo.models.cache_folder import cache_folder

if TYPE_CHECKING:
    import keras

FORMAT = "1"  # to be raised when the same inputs give other features


@dataclass(frozen=True)
class Features:
    """Features of images in a file of little-endian float32.

    Args:
        path: The file.
        shape: `(images, views, channels)`.
        reused: Whether the file was there before.
    """

    path: Path
    shape: tuple[int, int, int]
    reused: bool

    @property
    def num_bytes(self) -> int:
        """Size of the features in memory."""
        return 4 * int(np.prod(self.shape))

    def read(self) -> np.ndarray:
        """All features, `(images, views, channels)`, in memory."""
        return np.fromfile(self.path, "<f4").reshape(self.shape)

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The features of some images, `(n, views, channels)`.

        Rows are read one by one, so that memory holds only what is asked for.

        Args:
            positions: Which images, `(n,)`; each in [0, images).
        """
        row = self.num_bytes // max(self.shape[0], 1)
        with self.path.open("rb") as file:
            rows = [
                os.pread(file.fileno(), row, row * int(position))
                for position in positions
            ]
        flat = np.frombuffer(b"".join(rows), "<f4")
        return flat.reshape(-1, *self.shape[1:])


def identify_backbone(model: "keras.Model") -> str:
    """A digest of all that decides a network's features.

    It covers the architecture, the input size, the preprocessing, every
    weight, and the version of Keras, whose resizing goes before the network.
    Names of layers are part of it: those of the catalogue do not change.

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
    compute: Callable[[], Iterable[np.ndarray]],
) -> Features:
    """Finds the features of some images, or computes and keeps them.

    Args:
        backbone: From `identify_backbone`.
        image_digests: Digest of each image, in order.
        views: Names of the fixed views of each image, such as `"mirror"`.
        channels: Number of features of a view.
        compute: Gives the features batch by batch, each
            `(batch, views, channels)`; called only where they are not cached.

    Returns: The features, on disk.

    Raises: ValueError when `compute` gives more or fewer features than that;
        nothing is kept then.
    """
    facts = json.dumps([backbone, list(views), list(image_digests)])
    digest = hashlib.sha256(facts.encode()).hexdigest()
    path = cache_folder("features") / f"{digest}.f32"
    shape = (len(image_digests), len(views), channels)
    found = Features(path, shape, reused=True)
    if path.is_file() and path.stat().st_size == found.num_bytes:
        return found
    with atomic_write(path) as partial, partial.open("wb") as file:
        for batch in compute():
            file.write(np.ascontiguousarray(batch, "<f4").tobytes())
        if file.tell() != found.num_bytes:
            raise ValueError(
                f"cached_features: `compute` must give {found.num_bytes:,} "
                f"bytes, for the shape {shape}. Received: {file.tell():,}"
            )
    return Features(path, shape, reused=False)
