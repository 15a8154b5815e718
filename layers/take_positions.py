"""Takes positions along all spatial axes of an image at once."""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops


def take_positions(
    x,
    positions: Sequence[Any],
    *,
    distinct: bool = False,
    fill: float | None = None,
):
    """Takes the given positions of every spatial axis.

    Args:
        x: `(batch, *spatial, channels)`.
        positions: For each spatial axis int32 `(samples, channels, number)`,
            with 1 for what all samples or all channels share.
        distinct: Whether no axis has a position twice. The gradient is then a
            gather, which takes a fraction of the time of a scatter.
        fill: What comes out where a position is -1; `None` where none is.

    Returns `(batch, *numbers, channels)`.
    """
    batch, *lengths, channels = ops.shape(x)
    numbers = [ops.shape(places)[2] for places in positions]
    total, taken = math.prod(lengths), math.prod(numbers)
    pixels = _number_pixels(positions, lengths)  # (samples, channels, taken)
    x = ops.reshape(x, (batch, total, channels))
    take = _take_distinct_pixels if distinct else _take_pixels
    if pixels.shape[1] == 1:
        x = take(x, pixels[:, 0], fill)
    else:  # each channel is an image of its own
        x = ops.reshape(ops.moveaxis(x, 2, 1), (batch * channels, total, 1))
        pixels = ops.broadcast_to(pixels, (batch, channels, taken))
        pixels = ops.reshape(pixels, (batch * channels, taken))
        x = take(x, pixels, fill)
        x = ops.moveaxis(ops.reshape(x, (batch, channels, taken)), 1, 2)
    return ops.reshape(x, (batch, *numbers, channels))


def _number_pixels(positions, lengths):
    """Numbers pixels row by row, `(samples, channels, taken)`; -1 for none."""
    pixels = positions[0]
    for places, length in zip(positions[1:], lengths[1:], strict=True):
        rows, columns = pixels[..., :, None], places[..., None, :]
        exists = (rows >= 0) & (columns >= 0)
        pixels = ops.where(exists, rows * length + columns, -1)
        *images, height, width = ops.shape(pixels)
        pixels = ops.reshape(pixels, (*images, height * width))
    return pixels


def _take_pixels(x, pixels, fill):
    """Takes `(1 or batch, taken)` of `(batch, total, channels)`.

    Samples are laid end to end, so that one gather of whole pixels serves all.
    """
    batch, total, channels = ops.shape(x)
    index = pixels + total * ops.arange(batch, dtype="int32")[:, None]
    x = ops.reshape(x, (batch * total, channels))
    if fill is not None:
        index = ops.where(pixels >= 0, index + 1, 0)
        front = ops.full((1, channels), fill, x.dtype)
        x = ops.concatenate([front, x], axis=0)
    x = ops.take(x, ops.reshape(index, (-1,)), axis=0)
    return ops.reshape(x, (batch, ops.shape(pixels)[1], channels))


def _take_distinct_pixels(x, pixels, fill):
    """The same; going back, each pixel takes from where it went to."""
    total = ops.shape(x)[1]

    @ops.custom_gradient
    def take(x, pixels):  # JAX wants to see all tensors in the arguments
        def gradient(*args, upstream=None):
            if upstream is None:  # PyTorch names it, the others do not.
                (upstream,) = args
            return _take_pixels(upstream, _invert(pixels, total), 0), None

        return _take_pixels(x, pixels, fill), gradient

    return take(x, pixels)


def _invert(pixels, total):
    """Where each of `total` pixels is among those taken; -1 where it is not."""
    samples, taken = ops.shape(pixels)
    first = (total + 1) * ops.arange(samples, dtype="int32")[:, None]
    index = first + pixels + 1  # the place in front is for those of -1
    number = ops.arange(1, taken + 1, dtype="int32")
    number = ops.broadcast_to(number, (samples, taken))
    origin = ops.scatter(
        ops.reshape(index, (-1, 1)),
        ops.reshape(number, (-1,)),
        (samples * (total + 1),),
    )
    return ops.reshape(origin, (samples, total + 1))[:, 1:] - 1
