"""Counts the multiplications that a network does for one image."""

import math
from typing import TYPE_CHECKING

from dropzoo.models.layer_places import layer_places

if TYPE_CHECKING:
    import keras


def multiply_adds(model: "keras.Model") -> int:
    """Multiplications, each with an addition, for one image at inference.

    Those of convolutions and dense layers, which are nearly all: a kernel is
    applied once at each position of its output. A floating-point operation
    (FLOP) is one multiplication or one addition, so that there are twice as
    many; papers often call multiply-adds FLOPs.

    Args:
        model: A functional or Sequential model on images of a known size, with
            models inside or not. A layer that is called several times counts
            once.

    Returns: Their number.

    Raises: ValueError when the size of a map is not known.

    Example:
        >>> import keras
        >>> x = keras.Input((8, 8, 3))
        >>> y = keras.layers.Conv2D(4, 3, padding="same")(x)
        >>> multiply_adds(keras.Model(x, y)) == 8 * 8 * 3 * 3 * 3 * 4
        True
    """
    total = 0
    for place in layer_places(model):
        kernels = _kernels(place.operation) if place.has_weights else []
        if not kernels:
            continue
        # (batch, height, width, channels), (batch, channels)
        known = [size for size in place.shape[1:-1] if size is not None]
        if len(known) < len(place.shape) - 2:
            raise ValueError(
                "multiply_adds: `model` must be built for one size of image. "
                f"Received: {model.name!r}, whose layer {place.address!r} "
                f"gives {place.shape}"
            )
        total += math.prod(known) * sum(map(math.prod, kernels))
    return total


def _kernels(layer) -> list[tuple[int, ...]]:
    """Shapes of the kernels of a layer."""
    return [
        tuple(weight.shape)
        for weight in layer.weights
        if weight.name.endswith("kernel")
    ]
