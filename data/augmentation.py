"""Random changes of training images, as functions of (seed, epoch, index).

The layers are Keras's own. Their draws are not: a Keras layer draws from a
generator whose state depends on what ran before, so that a run that was
stopped and resumed sees other images. Here every draw follows from the run's
seed, the epoch and the image's position, in any order and in any number of
threads.
"""

from collections.abc import Iterable
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

Strength = Literal["none", "light", "strong"]


class IndexedSeed(keras.random.SeedGenerator):
    """A stream of seeds that starts anew for each image."""

    def start(self, seed: Any) -> None:
        """Starts the stream of one image; `seed` is an int32 tensor (2,)."""
        self._start = seed
        self._draws = 0

    def next(self, ordered: bool = True) -> Any:
        """The next seed of the stream, an int32 tensor (2,)."""
        self._draws += 1
        return tf.random.experimental.stateless_fold_in(
            self._start, self._draws
        )


def changed(
    image: Any, layers: Iterable[keras.Layer], seeds: IndexedSeed, seed: Any
) -> Any:
    """An image after each layer's change, in float32.

    Args:
        image: `(height, width, 3)`.
        layers: Of Keras's preprocessing, for single images.
        seeds: What the layers draw from.
        seed: int32 tensor `(2,)`; equal seeds give equal changes.
    """
    seeds.start(seed)
    x = tf.cast(image, "float32")
    for layer in layers:
        change = layer.get_random_transformation(x, training=True, seed=seeds)
        x = layer.transform_single_image(x, change, training=True)
    return x


class Augmentation:
    """Changes one image at random; a map for `tf.data`.

    Args:
        strength: `"none"`, `"light"` (flip, small shift and zoom) or
            `"strong"` (flip, zoom down to half the side, shift, rotation,
            brightness, contrast, saturation).
        flips: Whether a mirrored image may keep its label.

    Raises: ValueError when `strength` is unknown.
    """

    def __init__(self, strength: Strength, *, flips: bool):
        if strength not in get_args(Strength):
            raise ValueError(
                "Augmentation: `strength` must be one of "
                f"{', '.join(map(repr, get_args(Strength)))}. "
                f"Received: strength={strength!r}"
            )
        self.strength = strength
        self.flips = flips
        self._layers = _layers(strength, flips)
        self._seeds = IndexedSeed(0)

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Changes an image.

        Args:
            image: `(height, width, 3)`, in [0, 255].
            seed: int32 tensor `(2,)`; equal seeds give equal changes.

        Returns: `(height, width, 3)` float32 in [0, 255]; the image as it
            came where there is nothing to change.
        """
        if not self._layers:
            return image
        return changed(image, self._layers, self._seeds, seed)


def _layers(strength: Strength, flips: bool) -> list[keras.Layer]:
    layers: list[keras.Layer] = []
    if strength == "none":
        return layers
    if flips:
        layers.append(keras.layers.RandomFlip("horizontal"))
    if strength == "light":
        return [
            *layers,
            keras.layers.RandomTranslation(0.06, 0.06, fill_mode="nearest"),
            keras.layers.RandomZoom((-0.1, 0.1), fill_mode="nearest"),
        ]
    return [
        *layers,
        keras.layers.RandomZoom((-0.5, 0.0), fill_mode="reflect"),
        keras.layers.RandomTranslation(0.1, 0.1, fill_mode="reflect"),
        keras.layers.RandomRotation(0.06, fill_mode="reflect"),
        # Colours stay close to the photo's: they tell many classes apart.
        keras.layers.RandomBrightness(0.1),
        keras.layers.RandomContrast(0.2),
        # Keras clips the saturation itself, which ends at 1, to this range:
        # with that of the pixels, pure colours would leave [0, 255].
        keras.layers.RandomSaturation((0.45, 0.55), value_range=(0, 1)),
    ]
