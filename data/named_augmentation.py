"""Changes of training images by their names, for training from scratch.

As in `augmentation.py` the layers are Keras's own, and every draw follows from
the run's seed, the epoch and the image's position.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dropzoo.data.augmentation import IndexedSeed, changed

Size = tuple[int, int]
Layers = list[keras.Layer]

MARGIN = 8  # a shift reaches this part of the side: 4 of 32 pixels


class NamedAugmentation:
    """Changes one image by a list of names; a map for `tf.data`.

    | name | what it does |
    |---|---|
    | `"shift"` | pads by an eighth of the side with black and cuts out again |
    | `"flip"` | mirrors left and right, half of the images |
    | `"crop"` | cuts out a square of 3/4 of the side and enlarges it |
    | `"affine"` | turns by up to 18 degrees, zooms by 15 % and shears by 0.1 |
    | `"colour"` | brightness, contrast, saturation and hue |
    | `"randaugment"` | two of Keras's eleven operations of `RandAugment` |
    | `"erasing"` | fills a rectangle with noise, half of the images |

    Changes happen in the order of the list.

    Args:
        names: Names of the table, each at most once.
        size: Height and width of the images in pixels.

    Raises: ValueError when a name is unknown or stands twice.

    Reference: He et al., "Deep Residual Learning for Image Recognition", 2016,
        section 4.2 (shift and flip); Cubuk et al., "RandAugment", 2020; Zhong
        et al., "Random Erasing Data Augmentation", 2020.
    """

    def __init__(self, names: Sequence[str], size: Size):
        check_names("NamedAugmentation", names, IMAGE_CHANGES)
        self.names = tuple(names)
        self.size = size
        self._seeds = IndexedSeed(0)
        self._layers = [
            layer for name in names for layer in IMAGE_CHANGES[name](size)
        ]
        for layer in self._layers:
            layer.backend.set_backend("tensorflow")  # whatever trains
            if isinstance(layer, _RandAugment):
                layer.seeds = self._seeds

    def __call__(self, image: Any, seed: Any) -> Any:
        """Changes an image.

        Args:
            image: `(height, width, 3)`, in [0, 255].
            seed: int32 tensor `(2,)`; equal seeds give equal changes.

        Returns: `(height, width, 3)` float32 in [0, 255]; the image as it
            came where there is nothing to change.
        """
        if not self._layers:
            return image
        x = changed(image, self._layers, self._seeds, seed)
        return tf.clip_by_value(tf.ensure_shape(x, (*self.size, 3)), 0, 255)


class _Padding(keras.layers.RandomCrop):
    """Margins of black, which a `RandomCrop` behind it cuts off again."""

    def get_random_transformation(self, data, training=True, seed=None):
        height, width = data.shape[0] // MARGIN, data.shape[1] // MARGIN
        return [height, height], [width, width], [0, 0]

    def transform_single_image(self, image, transformation, training=True):
        return tf.pad(image, transformation)


class _RandAugment(keras.layers.RandAugment):
    """RandAugment whose draws follow from the image as well.

    Keras's own passes its generator on to its layers, not the one that it is
    given.
    """

    seeds: IndexedSeed

    def _get_seed_generator(self, backend=None):
        return self.seeds


def check_names(where: str, names: Sequence[str], known: Any) -> None:
    """Refuses names that are unknown or stand twice.

    Args:
        where: Opens the error.
        names: What was given.
        known: The names that there are.

    Raises: ValueError when a name is not among them, or stands twice.
    """
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, list(known), n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(
                f"{where}: every change must be one of {', '.join(known)}; "
                f"{hint}Received: {name!r}"
            )
    if len(set(names)) < len(names):
        raise ValueError(
            f"{where}: no change may stand twice. Received: {', '.join(names)}"
        )


def _shift(size: Size) -> Layers:
    return [_Padding(*size), keras.layers.RandomCrop(*size)]


def _flip(size: Size) -> Layers:
    return [keras.layers.RandomFlip("horizontal")]


def _crop(size: Size) -> Layers:
    height, width = (3 * side // 4 for side in size)
    return [
        keras.layers.RandomCrop(height, width),
        keras.layers.Resizing(*size),
    ]


def _affine(size: Size) -> Layers:
    return [
        keras.layers.RandomRotation(0.05, fill_mode="constant"),
        keras.layers.RandomZoom((-0.15, 0.15), fill_mode="constant"),
        keras.layers.RandomShear(0.1, 0.1, fill_mode="constant"),
    ]


def _colour(size: Size) -> Layers:
    return [
        keras.layers.RandomBrightness(0.2),
        keras.layers.RandomContrast(0.3),
        # Keras clips the saturation itself, which ends at 1, to this range.
        keras.layers.RandomSaturation((0.35, 0.65), value_range=(0, 1)),
        keras.layers.RandomHue(0.1),
    ]


def _randaugment(size: Size) -> Layers:
    return [_RandAugment(num_ops=2, factor=0.3)]


def _erasing(size: Size) -> Layers:
    return [keras.layers.RandomErasing(factor=(0.5, 0.5), scale=(0.02, 0.33))]


IMAGE_CHANGES: dict[str, Callable[[Size], Layers]] = {
    "shift": _shift,
    "flip": _flip,
    "crop": _crop,
    "affine": _affine,
    "colour": _colour,
    "randaugment": _randaugment,
    "erasing": _erasing,
}
