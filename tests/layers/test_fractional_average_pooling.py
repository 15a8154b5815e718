import keras
import numpy as np
import pytest
from keras import ops

from dropzoo.layers import FractionalAveragePooling2D, FractionalMaxPooling2D
from dropzoo.layers.fractional_average_pooling import pool_average
from dropzoo.layers.fractional_regions import find_parts

SHAPE = (2, 29, 26, 3)  # one for all: JAX compiles for every new shape

every_kind = pytest.mark.parametrize(
    "geometry,sequence,overlapping",
    [
        ("graham", "pseudorandom", True),
        ("graham", "random", False),
        ("torch", "pseudorandom", True),
        ("tensorflow", "pseudorandom", True),
        ("tensorflow", "random", False),
    ],
)


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
@pytest.mark.parametrize("regions", ["batch", "sample"])
@pytest.mark.parametrize("ratio", [1.41, 1.9])
def test_the_output_is_the_mean_of_each_region(
    gradient, geometry, sequence, overlapping, regions, ratio
):
    layer = FractionalAveragePooling2D(
        ratio,
        geometry=geometry,
        sequence=sequence,
        overlapping=overlapping,
        regions=regions,
        seed=1,
    )
    x = images()
    found = layer.find_regions(x.shape, is_random=True)
    means, slopes = average_by_hand(x, found)
    output = pool_average(ops.convert_to_tensor(x), found)
    # Sums of at most 9 numbers, in float32.
    np.testing.assert_allclose(output, means, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        gradient(lambda x: pool_average(x, found), x), slopes, rtol=1e-5
    )


@pytest.mark.parametrize("pseudorandom", [True, False])
@pytest.mark.parametrize("overlapping", [True, False])
@pytest.mark.parametrize("ratio", [1.41, 2.6])
def test_agrees_with_tensorflow_over_the_regions_that_it_returns(
    gradient, pseudorandom, overlapping, ratio
):
    import tensorflow as tf

    x = tf.constant(images())
    with tf.GradientTape() as tape:
        tape.watch(x)
        expected, *sequences = tf.nn.fractional_avg_pool(
            x, [1, ratio, ratio, 1], pseudorandom, overlapping, seed=3
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
    # The sum of a region is taken in another order, in float32.
    output = pool_average(x, regions)
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)
    slopes = gradient(lambda x: pool_average(x, regions), x)
    np.testing.assert_allclose(slopes, expected_slopes, rtol=1e-5)


@every_kind
def test_regions_are_those_of_max_pooling(geometry, sequence, overlapping):
    options = dict(
        geometry=geometry, sequence=sequence, overlapping=overlapping, seed=1
    )
    average = FractionalAveragePooling2D(**options)
    maximum = FractionalMaxPooling2D(**options)
    for one, other in zip(
        average.find_regions(SHAPE, is_random=True),
        maximum.find_regions(SHAPE, is_random=True),
        strict=True,
    ):
        np.testing.assert_array_equal(one.starts, other.starts)


def test_a_ratio_of_two_is_ordinary_average_pooling():
    x = images()[:, :28]
    layer = FractionalAveragePooling2D(2)
    ordinary = keras.layers.AveragePooling2D(2)
    np.testing.assert_array_equal(layer(x, training=True), ordinary(x))


@every_kind
def test_constant_maps_stay_as_they_are(geometry, sequence, overlapping):
    """Edges count only what is inside the map."""
    layer = FractionalAveragePooling2D(
        geometry=geometry, sequence=sequence, overlapping=overlapping, seed=1
    )
    output = layer(np.full(SHAPE, 3, "float32"), training=True)
    np.testing.assert_allclose(output, np.full((2, 20, 18, 3), 3), rtol=1e-6)


@every_kind
def test_nan_and_inf_stay_in_their_regions(geometry, sequence, overlapping):
    layer = FractionalAveragePooling2D(
        geometry=geometry, sequence=sequence, overlapping=overlapping, seed=1
    )
    x = images()
    x[0, 5, 5], x[1, 28, 25] = np.nan, np.inf
    found = layer.find_regions(x.shape, is_random=True)
    means, _ = average_by_hand(x, found)
    output = pool_average(ops.convert_to_tensor(x), found)
    np.testing.assert_allclose(output, means, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("overlapping", [True, False])
def test_height_and_width_may_be_unknown(overlapping):
    inputs = keras.Input((None, None, 3))
    layer = FractionalAveragePooling2D(
        geometry="tensorflow", overlapping=overlapping
    )
    model = keras.Model(inputs, layer(inputs))
    for height, width in ((2, 3), (24, 17)):
        x = images()[:, :height, :width]
        np.testing.assert_allclose(
            model.predict_on_batch(x),
            ops.convert_to_numpy(layer(x)),
            rtol=1e-5,
            atol=1e-6,
        )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("geometry", ["graham", "tensorflow"])
def test_half_precision_is_near_to_single(dtype, geometry, to_numpy):
    x = images()
    single, half = (
        to_numpy(
            FractionalAveragePooling2D(geometry=geometry, seed=1, dtype=each)(
                x, training=True
            )
        )
        for each in ("float32", dtype)
    )
    # A handful of roundings to 11 and 8 bits, of numbers up to 4.
    error = 8 * 4 * {"float16": 2**-11, "bfloat16": 2**-8}[dtype]
    assert np.abs(half.astype("float32") - single).max() < error
