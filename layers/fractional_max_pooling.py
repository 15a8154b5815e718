"""Fractional max pooling: regions whose places are drawn anew in each step."""

import keras
from keras import ops

from .fractional_pooling import BaseFractionalPooling
from .fractional_regions import Regions
from .take_positions import take_positions


def pool_max(x, regions: list[Regions]):
    """Returns the maximum of each region.

    Windows of the smallest size are pooled at every place, and those of the
    regions taken: so the gather moves outputs, not inputs. A region that is one
    larger is the maximum of two such windows, one place apart.

    Args:
        x: `(batch, *spatial, channels)`.
        regions: Those of each spatial axis.
    """
    lowest = float("-inf")
    if any(axis.beyond for axis in regions):
        edges = [(0, axis.beyond) for axis in regions]
        x = ops.pad(x, [(0, 0), *edges, (0, 0)], constant_values=lowest)
    ones = (1,) * len(regions)
    x = _max_pool(x, tuple(axis.smallest for axis in regions), ones)
    numbers = tuple(axis.largest - axis.smallest + 1 for axis in regions)
    x = take_positions(
        x,
        [_find_places(axis) for axis in regions],
        distinct=all(axis.distinct for axis in regions),
        fill=None if max(numbers) == 1 else lowest,
    )
    return _max_pool(x, numbers, numbers)


def _find_places(axis: Regions):
    """Where the smallest windows of each region lie; -1 where it has fewer."""
    if axis.smallest == axis.largest:
        return axis.starts
    number = axis.largest - axis.smallest + 1
    shifts = ops.arange(number, dtype="int32")
    is_inside = shifts <= axis.sizes[..., None] - axis.smallest
    places = ops.where(is_inside, axis.starts[..., None] + shifts, -1)
    *images, count, number = ops.shape(places)
    return ops.reshape(places, (*images, count * number))


def _max_pool(x, sizes, strides):
    """Max pooling, channels last; of volumes as of maps, then of their depth.

    TensorFlow has no kernel for volumes in float16 on CPU, and a slow one in
    float32.
    """
    if max(sizes) == 1:
        return x
    if len(sizes) < 3:
        return ops.max_pool(x, sizes, strides, data_format="channels_last")
    batch, depth, height, width, channels = ops.shape(x)
    x = ops.reshape(x, (batch * depth, height, width, channels))
    x = _max_pool(x, sizes[1:], strides[1:])
    _, height, width, _ = ops.shape(x)
    x = ops.reshape(x, (batch, depth, height * width, channels))
    x = _max_pool(x, (sizes[0], 1), (strides[0], 1))
    return ops.reshape(x, (batch, ops.shape(x)[1], height, width, channels))


@keras.saving.register_keras_serializable(package="dropzoo")
class FractionalMaxPooling1D(BaseFractionalPooling):
    """Shrinks a sequence by a fraction, over regions drawn anew in each step.

    `FractionalMaxPooling2D`, for sequences.

    Args:
        pooling_ratio: Number from 1, or `None` for sqrt(2) or `output_size`.
        output_size: Integer from 1, or `None` for `pooling_ratio`.
        pool_size: Integer from 1. Defaults to 2.
        sequence: `"pseudorandom"` or `"random"`.
        overlapping: Whether regions may share positions.
        geometry: `"graham"`, `"torch"` or `"tensorflow"`.
        regions: `"batch"` or `"sample"`.
        inference: `"fixed"` or `"random"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for
            `keras.config.image_data_format()`.
        seed: Integer or `None`.

    Input shape: `(batch, steps, channels)`, or with `"channels_first"`
        `(batch, channels, steps)`.

    Output shape: the same, with `floor(steps / pooling_ratio)` or `output_size`
        steps.

    Raises: as `FractionalMaxPooling2D`.

    Example:
        >>> import numpy as np
        >>> sequence = np.array([2.0, 4, 3, 1, 5, 2, 3]).reshape(1, 7, 1)
        >>> layer = FractionalMaxPooling1D(output_size=5, overlapping=False)
        >>> layer(sequence)[0, :, 0].numpy().tolist()
        [2.0, 4.0, 1.0, 5.0, 3.0]

    Reference: Graham, "Fractional Max-Pooling", 2014, section 2.
    """

    rank = 1
    pool = staticmethod(pool_max)


@keras.saving.register_keras_serializable(package="dropzoo")
class FractionalMaxPooling2D(BaseFractionalPooling):
    """Shrinks a map by a fraction, over regions drawn anew in each step.

    Max pooling by 2 keeps a quarter of a map. Fractional max pooling by `a`
    between 1 and 2 makes `floor(length / a)` regions along each axis, with
    steps of 1 and 2 between them, in an order that is drawn: a deep network
    shrinks in many small stages, and each distorts its input a little, as an
    augmentation does. Height and width draw apart.

    In training every step draws new regions. At inference they are fixed, each
    at the place nearest to an even spread. With `inference="random"` they are
    drawn there, too, to average several passes over the same photos, as the
    paper does: see `dropzoo.models.predict_samples`.

    Of equal numbers the first has the gradient. What becomes of nan and -inf is
    up to the max pooling of the backend: on CPU, TensorFlow passes nan over and
    gives the lowest finite number for a region of -inf.

    Args:
        pooling_ratio: How much smaller the map becomes: number from 1, or 2 of
            them, at most `pool_size`. `None` means sqrt(2), or what
            `output_size` asks for.
        output_size: Height and width of the output, integer from 1 or 2 of
            them, in place of a ratio.
        pool_size: Height and width of a window: integer from 1, or 2 of them.
            Regions that do not overlap have at most this size, those of
            `geometry="tensorflow"` another.
        sequence: `"pseudorandom"` spreads large and small steps evenly, from
            one random offset u in [0, 1): `floor(a (i + u)) - floor(a u)`.
            `"random"` shuffles them, and distorts more.
        overlapping: `True` pools windows of `pool_size`, of which some share
            rows. `False` ends a region where the next one starts.
        geometry: Whose regions. `"graham"` are those of the code of the paper's
            author. `"torch"` has the same windows, but each channel draws its
            own, and a ratio above `pool_size` may leave rows out.
            `"tensorflow"` takes what lies between two places of a sequence and,
            where overlapping, the first row of the next region: 2 or 3 rows for
            ratios below 2, and the last region one less. It has any ratio.
        regions: `"batch"` draws regions once for all samples of a batch, as
            TensorFlow does, `"sample"` for each one, as the paper's author does
            and PyTorch. One draw makes one cheap gather.
        inference: `"fixed"` or `"random"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for
            `keras.config.image_data_format()`.
        seed: Integer or `None`. Layers with equal seeds draw the same.

    Input shape: `(batch, height, width, channels)`, or with `"channels_first"`
        `(batch, channels, height, width)`.

    Output shape: the same, with `floor(height / pooling_ratio)` rows, or as
        many as `output_size` says, and columns likewise.

    Raises: ValueError when an argument is out of its range, two contradict each
        other, or the input has no room for as many regions; TypeError when a
        size or ratio is no number.

    Example:
        >>> import numpy as np
        >>> images = np.ones((2, 56, 56, 8), "float32")
        >>> FractionalMaxPooling2D()(images, training=True).shape
        TensorShape([2, 39, 39, 8])
        >>> FractionalMaxPooling2D(2 ** (1 / 3))(images).shape
        TensorShape([2, 44, 44, 8])

    Reference: Graham, "Fractional Max-Pooling", 2014, section 2; windows of one
        size as in its author's code.
    """

    rank = 2
    pool = staticmethod(pool_max)


@keras.saving.register_keras_serializable(package="dropzoo")
class FractionalMaxPooling3D(BaseFractionalPooling):
    """Shrinks a volume by a fraction, over regions drawn anew in each step.

    `FractionalMaxPooling2D`, for volumes.

    Args:
        pooling_ratio: Number from 1, or 3 of them, or `None` for sqrt(2) or
            `output_size`.
        output_size: Integer from 1, or 3 of them, or `None` for
            `pooling_ratio`.
        pool_size: Integer from 1, or 3 of them. Defaults to 2.
        sequence: `"pseudorandom"` or `"random"`.
        overlapping: Whether regions may share positions.
        geometry: `"graham"`, `"torch"` or `"tensorflow"`.
        regions: `"batch"` or `"sample"`.
        inference: `"fixed"` or `"random"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for
            `keras.config.image_data_format()`.
        seed: Integer or `None`.

    Input shape: `(batch, depth, height, width, channels)`, or with
        `"channels_first"` `(batch, channels, depth, height, width)`.

    Output shape: the same, with `floor(size / pooling_ratio)` positions along
        each spatial axis, or those of `output_size`.

    Raises: as `FractionalMaxPooling2D`.

    Example:
        >>> import numpy as np
        >>> volume = np.ones((1, 8, 12, 12, 2), "float32")
        >>> FractionalMaxPooling3D((1.25, 1.5, 1.5))(volume).shape
        TensorShape([1, 6, 8, 8, 2])

    Reference: Graham, "Fractional Max-Pooling", 2014, section 2.
    """

    rank = 3
    pool = staticmethod(pool_max)
