"""Fractional average pooling: the mean in place of the maximum."""

import keras
from keras import ops

from .fractional_pooling import BaseFractionalPooling
from .fractional_regions import Regions
from .take_positions import take_positions


def pool_average(x, regions: list[Regions]):
    """Returns the mean of each region.

    Args:
        x: `(batch, *spatial, channels)`.
        regions: Those of each spatial axis.
    """
    if all(isinstance(axis.sizes, int) for axis in regions):
        sizes = tuple(axis.sizes for axis in regions)
        x = ops.average_pool(x, sizes, 1, data_format="channels_last")
        starts = [axis.starts for axis in regions]
        distinct = all(axis.distinct for axis in regions)
        return take_positions(x, starts, distinct=distinct)
    for number, axis in enumerate(regions):
        x = _average_along(x, number, axis)
    return x


def _average_along(x, number, axis):
    """Averages along one spatial axis: the smallest window, then what is more.

    Beyond the edge are zeros, which the division leaves out.
    """
    lengths = ops.shape(x)[1:-1]
    edges = [(0, 0)] * len(x.shape)
    edges[1 + number] = (0, axis.beyond)
    x = ops.pad(x, edges) if axis.beyond else x

    def take(x, places):
        positions = [ops.arange(n, dtype="int32")[None, None] for n in lengths]
        positions[number] = places
        return take_positions(x, positions, distinct=axis.distinct, fill=0)

    window = [1] * len(lengths)
    window[number] = axis.smallest
    means = ops.average_pool(x, tuple(window), 1, data_format="channels_last")
    total = take(means, axis.starts) * axis.smallest
    for place in range(axis.smallest, axis.largest):
        exists = axis.sizes > place
        total = total + take(x, ops.where(exists, axis.starts + place, -1))
    sizes = ops.minimum(axis.sizes, lengths[number] - axis.starts)
    samples, _, count = ops.shape(sizes)
    across = [1] * len(lengths)
    across[number] = count
    return total / ops.cast(
        ops.reshape(sizes, (samples, *across, 1)), total.dtype
    )


@keras.saving.register_keras_serializable(package="dropzoo")
class FractionalAveragePooling2D(BaseFractionalPooling):
    """Shrinks a map by a fraction, averaging regions drawn anew in each step.

    The twin of `FractionalMaxPooling2D`: same regions, their mean in place of
    their maximum. The mean is that of what is inside the map.

    Args:
        pooling_ratio: Number from 1, or 2 of them, or `None` for sqrt(2) or
            `output_size`.
        output_size: Integer from 1, or 2 of them, or `None` for
            `pooling_ratio`.
        pool_size: Integer from 1, or 2 of them. Defaults to 2.
        sequence: `"pseudorandom"` or `"random"`.
        overlapping: Whether regions may share positions.
        geometry: `"graham"`, `"torch"` or `"tensorflow"`.
        regions: `"batch"` or `"sample"`.
        inference: `"fixed"` or `"random"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for
            `keras.config.image_data_format()`.
        seed: Integer or `None`.

    Input shape: `(batch, height, width, channels)`, or with `"channels_first"`
        `(batch, channels, height, width)`.

    Output shape: as of `FractionalMaxPooling2D`.

    Raises: as `FractionalMaxPooling2D`.

    Example:
        >>> import numpy as np
        >>> image = np.arange(9.0).reshape(1, 3, 3, 1)
        >>> FractionalAveragePooling2D(1.5)(image)[0, :, :, 0].numpy().tolist()
        [[2.0, 3.0], [5.0, 6.0]]

    Reference: `tf.nn.fractional_avg_pool`; regions as in Graham, "Fractional
        Max-Pooling", 2014, section 2.
    """

    rank = 2
    pool = staticmethod(pool_average)
