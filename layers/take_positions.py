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
    if pixels.shape[1] == 1:
        x = _take_pixels(x, pixels[:, 0], distinct, fill)
    else:  # each channel is an image of its own
        x = ops.reshape(ops.moveaxis(x, 2, 1), (batch * channels, total, 1))
        pixels = ops.broadcast_to(pixels, (batch, channels, taken))
        pixels = ops.reshape(pixels, (batch * channels, taken))
        x = _take_pixels(x, pixels, distinct, fill)
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


def _take_pixels(x, pixels, distinct, fill):
    """Takes `(1 or batch, taken)` of `(batch, total, channels)`.

    Samples are laid end to end, so that one gather of whole pixels serves all.
    """
    batch, total, channels = ops.shape(x)
    taken = ops.shape(pixels)[1]
    index = pixels + total * ops.arange(batch, dtype="int32")[:, None]
    if fill is not None:
        index = ops.where(pixels >= 0, index + 1, 0)
    index = ops.reshape(index, (-1,))

    def take(x):
        x = ops.reshape(x, (batch * total, channels))
        x = x if fill is None else _put_in_front(x, fill)
        return ops.reshape(ops.take(x, index, axis=0), (batch, taken, channels))

    @ops.custom_gradient
    def take_distinct(x):
        def gradient(*args, upstream=None):
            if upstream is None:  # PyTorch names it, the others do not.
                (upstream,) = args
            front = 0 if fill is None else 1
            number = ops.arange(1, batch * taken + 1, dtype="int32")
            # Where each pixel went; 0, which adds nothing, where it was left.
            origin = ops.scatter(
                index[:, None], number, (front + batch * total,)
            )[front:]
            slopes = ops.reshape(upstream, (batch * taken, channels))
            slopes = ops.take(_put_in_front(slopes, 0), origin, axis=0)
            return ops.reshape(slopes, (batch, total, channels))

        return take(x), gradient

    return take_distinct(x) if distinct else take(x)


def _put_in_front(pixels, value):
    pixel = ops.full((1, ops.shape(pixels)[1]), value, pixels.dtype)
    return ops.concatenate([pixel, pixels], axis=0)
