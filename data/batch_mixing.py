"""MixUp and CutMix, as functions of (seed, step)."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dropzoo.data.augmentation import IndexedSeed
from dropzoo.data.named_augmentation import check_names

BATCH_CHANGES = ("mixup", "cutmix")


class BatchMixing:
    """Mixes each image of a batch, and its label, with another one's.

    `"mixup"` averages two images with weights from Beta(0.2, 0.2), `"cutmix"`
    pastes a rectangle of one into the other, whose share of the area is from
    Beta(1, 1). Labels are mixed by the same shares. With both names one of the
    two is drawn for each batch.

    Args:
        names: `"mixup"`, `"cutmix"` or both.

    Raises: ValueError when a name is unknown or stands twice.

    Reference: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018;
        Yun et al., "CutMix", 2019.
    """

    def __init__(self, names: Sequence[str]):
        check_names("BatchMixing", names, BATCH_CHANGES)
        self.names = tuple(names)
        self._seeds = IndexedSeed(0)
        self._layers = [_layer(name) for name in names]
        for layer in self._layers:
            layer.backend.set_backend("tensorflow")  # whatever trains

    def __call__(self, images: Any, labels: Any, seed: Any) -> tuple[Any, Any]:
        """Mixes a batch.

        Args:
            images: `(batch, height, width, 3)`.
            labels: Rows that sum to 1, `(batch, classes)`.
            seed: int32 tensor `(2,)`; equal seeds give equal mixtures.

        Returns: Images and labels of the same shapes, float32.
        """
        self._seeds.start(seed)
        images = tf.cast(images, "float32")
        if len(self._layers) == 1:
            return self._mix(self._layers[0], images, labels)
        coin = tf.random.stateless_uniform((), self._seeds.next())
        first, second = self._layers
        return tf.cond(
            coin < 0.5,
            lambda: self._mix(first, images, labels),
            lambda: self._mix(second, images, labels),
        )

    def _mix(self, layer: keras.Layer, images: Any, labels: Any):
        change = layer.get_random_transformation(
            images, training=True, seed=self._seeds
        )
        return (
            layer.transform_images(images, change, training=True),
            layer.transform_labels(labels, change, training=True),
        )


def _layer(name: str) -> keras.Layer:
    if name == "mixup":
        return keras.layers.MixUp(alpha=0.2)
    return keras.layers.CutMix(factor=(1.0, 1.0))
