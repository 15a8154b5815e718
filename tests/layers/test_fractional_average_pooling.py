import keras
import numpy as np
import pytest
from keras import ops

from dropzoo.layers import FractionalAveragePooling2D, FractionalMaxPooling2D
from dropzoo.layers.fractional_average_pooling import pool_average
from dropzoo.layers.fractional_regions import find_parts

SHAPE = (3, 11, 12, 4)  # JAX compiles each operation for every new shape

# Geometry, sequence, overlapping, regions.
KINDS = [
    ("graham", "pseudorandom", True, "batch"),
    ("graham", "random", False, "batch"),
    ("tensorflow", "pseudorandom", True, "sample"),
]
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind, layer=FractionalAveragePooling2D, **options):
    names = ("geometry", "sequence", "overlapping", "regions")
    options = {**dict(zip(names, kind, strict=True)), "seed": 1, **options}
    return layer(**options)


def images(seed=0):
    return np.random.default_rng(seed).normal(size=SHAPE).astype("float32")


def average_by_hand(x, regions):
    """The mean of each region inside the map, and the slopes of their sum."""
    rows, columns = regions
    counts = (rows.starts.shape[2], columns.starts.shape[2])
    means = np.zeros((x.shape[0], *counts, x.shape[3]))
    slopes = np.zeros(x.shape)

    def spans(axis, sample, channel):
        starts = ops.convert_to_numpy(axis.starts)
        sizes = np.broadcast_to(ops.convert_to_numpy(axis.sizes), starts.shape)
        image = (sample % starts.shape[0], channel % starts.shape[1])
        return [
            slice(start, start + size)
            for start, size in zip(starts[image], sizes[image], strict=True)
        ]

    for sample, channel in np.ndindex(x.shape[0], x.shape[3]):
        for row, height in enumerate(spans(rows, sample, channel)):
            for column, width in enumerate(spans(columns, sample, channel)):
                here = (sample, height, width, channel)
                means[sample, row, column, channel] = x[here].mean()
                slopes[here] += 1 / x[here].size
    return means, slopes


@every_kind
def test_the_output_is_the_mean_of_each_region(gradient, compiled, kind):
    x = images()
    regions = make(kind).find_regions(x.shape, is_random=True)
    means, slopes = average_by_hand(x, regions)
    pool = compiled(lambda x: pool_average(x, regions))
    # Sums of at most 9 numbers, in float32.
    output = pool(ops.convert_to_tensor(x))
    np.testing.assert_allclose(output, means, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient(pool, x), slopes, rtol=1e-5)


@pytest.mark.parametrize("pseudorandom", [True, False])
@pytest.mark.parametrize("overlapping", [True, False])
def test_agrees_with_tensorflow_over_the_regions_that_it_returns(
    gradient, compiled, pseudorandom, overlapping
):
    import tensorflow as tf

    x = tf.constant(images())
    with tf.GradientTape() as tape:
        tape.watch(x)
        expected, *sequences = tf.nn.fractional_avg_pool(
            x, [1, 1.41, 1.41, 1], pseudorandom, overlapping, seed=3
        )
    expected_slopes = tape.gradient(expected, x)

    regions = []
    for sequence in sequences:
        boundaries = sequence.numpy().astype("int32")[None, None]
        sizes = np.diff(boundaries)
        limits = (int(sizes.min()), int(sizes.max()))
        boundaries = ops.convert_to_tensor(boundaries)
        regions.append(find_parts(boundaries, limits, overlapping))
    x = ops.convert_to_tensor(x.numpy())
    pool = compiled(lambda x: pool_average(x, regions))
    # The sum of a region is taken in another order, in float32.
    np.testing.assert_allclose(pool(x), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient(pool, x), expected_slopes, rtol=1e-5)


@every_kind
def test_regions_are_those_of_max_pooling(kind):
    average = make(kind).find_regions(SHAPE, is_random=True)
    maximum = make(kind, FractionalMaxPooling2D)
    maximum = maximum.find_regions(SHAPE, is_random=True)
    for one, other in zip(average, maximum, strict=True):
        np.testing.assert_array_equal(one.starts, other.starts)


def test_a_ratio_of_two_is_ordinary_average_pooling():
    x = images()[:, :10]
    layer = FractionalAveragePooling2D(2)
    ordinary = keras.layers.AveragePooling2D(2)
    # XLA adds in another order for each size of window and stride.
    np.testing.assert_allclose(
        layer(x, training=True), ordinary(x), rtol=1e-6, atol=1e-7
    )


@every_kind
def test_constant_maps_stay_as_they_are(kind):
    """Edges count only what is inside the map."""
    output = make(kind)(np.full(SHAPE, 3, "float32"), training=True)
    np.testing.assert_allclose(output, np.full((3, 7, 8, 4), 3), rtol=1e-6)


@every_kind
def test_nan_and_inf_stay_in_their_regions(compiled, kind):
    x = images()
    x[0, 5, 5], x[1, 10, 11] = np.nan, np.inf
    regions = make(kind).find_regions(x.shape, is_random=True)
    means, _ = average_by_hand(x, regions)
    pool = compiled(lambda x: pool_average(x, regions))
    output = pool(ops.convert_to_tensor(x))
    np.testing.assert_allclose(output, means, rtol=1e-5, atol=1e-6)


def test_height_and_width_may_be_unknown():
    inputs = keras.Input((None, None, 4))
    layer = FractionalAveragePooling2D(geometry="tensorflow")
    model = keras.Model(inputs, layer(inputs))
    x = images()
    np.testing.assert_allclose(
        model.predict_on_batch(x),
        ops.convert_to_numpy(layer(x)),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_near_to_single(dtype, to_numpy):
    x = images()
    single = to_numpy(make(KINDS[2])(x, training=True))
    half = to_numpy(make(KINDS[2], dtype=dtype)(x, training=True))
    # A handful of roundings to 11 and 8 bits, of numbers up to 4.
    error = 8 * 4 * {"float16": 2**-11, "bfloat16": 2**-8}[dtype]
    assert np.abs(half.astype("float32") - single).max() < error
