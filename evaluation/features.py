"""Runs a frozen network once over images and keeps what comes out."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from dropzoo.data.examples import Examples
from dropzoo.data.feature_cache import (
    Features,
    cached_features,
    identify_backbone,
)

if TYPE_CHECKING:
    import keras


def extract_features(
    backbone: "keras.Model",
    examples: Examples,
    *,
    mirrored: bool,
    batch_size: int = 32,
    progress: Callable[[int], None] = lambda images: None,
) -> Features:
    """Features of every image, from the cache where it has them.

    Args:
        backbone: A model from raw RGB to pooled features
            `(batch, channels)`, such as `create_model(name, num_classes=0)`.
        examples: The images.
        mirrored: Whether each photo's mirror image is a second view.
        batch_size: Images that go through the network at once.
        progress: Called with the number of images after each batch.

    Returns: Features of shape `(images, views, channels)`, on disk.

    Raises:
        ImageError: An image became unreadable since it was checked.
        OSError: The features cannot be written.
    """

    def compute(positions: list[int]) -> Iterator[np.ndarray]:
        if len(positions) < len(examples):
            progress(len(examples) - len(positions))
        new = examples.subset(positions)
        return _compute(backbone, new, views, batch_size, progress)

    views = ("photo", "mirror") if mirrored else ("photo",)
    return cached_features(
        identify_backbone(backbone),
        examples.digests,
        views,
        backbone.output_shape[-1],
        compute,
    )


def _compute(
    backbone, examples: Examples, views, batch_size, progress
) -> Iterator[np.ndarray]:
    from dropzoo.data.pipeline import evaluation_batches, image_errors

    height, width = backbone.input_shape[1:3]
    batches = evaluation_batches(
        examples, (height, width), batch_size=batch_size
    )
    with image_errors():
        for images, _ in batches.as_numpy_iterator():
            # Filled up with repeats: in a smaller batch, kernels that round
            # otherwise would let an image's features depend on its company.
            batch = np.resize(images, (batch_size, *images.shape[1:]))
            # (batch, height, width, 3), mirrored along the width
            seen = [batch, batch[:, :, ::-1]][: len(views)]
            features = [backbone.predict_on_batch(view) for view in seen]
            # (images, views, channels)
            yield np.stack(features, axis=1)[: len(images)]
            progress(len(images))
