"""A collection from a training and a test set that lie in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .collection import TEST, TRAIN, Collection
from .pixel_arrays import to_rgb

Labelled = tuple[np.ndarray, np.ndarray]


def collect_arrays(
    name: str,
    class_names: Sequence[str],
    train: Labelled,
    test: Labelled,
    *,
    flips_are_safe: bool | None = None,
) -> Collection:
    """Collects images that somebody else has split.

    Args:
        name: What a person calls the source.
        class_names: In the order of the labels.
        train: Images, `(n, height, width)` or `(n, height, width, channels)`
            uint8, and their labels, `(n,)` or `(n, 1)`.
        test: The same of the test set.
        flips_are_safe: Whether a mirrored image keeps its label; `None`
            where nobody knows.
    """
    parts = {TRAIN: train, TEST: test}
    images = [image for pixels, _ in parts.values() for image in pixels]
    return Collection(
        name=name,
        class_names=class_names,
        labels=np.concatenate(
            [labels.reshape(-1) for _, labels in parts.values()]
        ).astype(np.int32),
        names=[
            f"{split}[{index}]"
            for split, (pixels, _) in parts.items()
            for index in range(len(pixels))
        ],
        splits=np.repeat(list(parts), [len(train[0]), len(test[0])]),
        content=lambda index: to_rgb(images[index]),
        encoded=False,
        flips_are_safe=flips_are_safe,
    )
