import itertools
import math

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as st

from dropzoo.layers import (
    StochasticPooling1D,
    StochasticPooling2D,
    StochasticPooling3D,
)

LAYERS = {
    1: StochasticPooling1D,
    2: StochasticPooling2D,
    3: StochasticPooling3D,
}
MAX_POOLING = {
    1: keras.layers.MaxPooling1D,
    2: keras.layers.MaxPooling2D,
    3: keras.layers.MaxPooling3D,
}
DRAWS = 40_000
# Sizes of a map, window, strides, padding and data format.
GEOMETRIES = [
    ((11,), 3, 2, "valid", "channels_first"),
    ((7, 9), 2, None, "valid", "channels_last"),
    ((6, 5), (3, 2), (2, 1), "same", "channels_first"),
    ((8, 7), 2, (3, 5), "valid", "channels_last"),  # places between windows
    ((8, 11), 2, (3, 5), "same", "channels_last"),
    ((7, 7), 7, None, "valid", "channels_last"),  # the whole map
    ((3, 4), 5, 2, "same", "channels_last"),  # larger than the map
    ((3, 5, 4), (2, 3, 2), (2, 2, 1), "same", "channels_last"),
]
every_geometry = pytest.mark.parametrize("geometry", GEOMETRIES)


def each(value, rank):
    return (value,) * rank if isinstance(value, int) else value


def regions(x, window, strides, padding):
    """What each region of NumPy's `x` holds, flat, with zeros as padding.

    Shapes: (batch, *sizes, channels) to (batch, *outputs, channels, places).
    """
    rank = x.ndim - 2
    window = each(window, rank)
    strides = window if strides is None else each(strides, rank)
    if padding == "same":
        widths = [(0, 0)] * x.ndim
        for axis in range(rank):
            size, k, s = x.shape[axis + 1], window[axis], strides[axis]
            added = max((math.ceil(size / s) - 1) * s + k - size, 0)
            widths[axis + 1] = (added // 2, added - added // 2)
        x = np.pad(x, widths)
    views = np.lib.stride_tricks.sliding_window_view(
        x, window, axis=range(1, rank + 1)
    )[(slice(None), *(slice(None, None, s) for s in strides))]
    return views.reshape(*views.shape[:-rank], -1)


def drawing(layer, shape):
    """Training as a function without state: each call draws the same."""
    layer.build(shape)
    state = [keras.ops.copy(v) for v in layer.non_trainable_variables]
    return lambda x: layer.stateless_call([], state, x, training=True)[0]


def positive_map(sizes, channels=3):
    x = np.random.default_rng(0).gamma(1, size=(2, *sizes, channels))
    return x.astype("float32")


def ordered(x, data_format):
    """From channels last, as all maps are here, to what a layer takes."""
    return x if data_format == "channels_last" else np.moveaxis(x, -1, 1)


def invert(draw, places):
    """Which place of each region has the first running sum above its share."""
    sums = np.cumsum(places, axis=-1)
    passed = sums <= (draw * sums[..., -1])[..., None]
    return passed.sum(-1, keepdims=True)


def expected_slope(x, chosen, weight, geometry):
    """Each region's weight at the place that it chose, in NumPy."""
    numbers = np.arange(1, x.size + 1).reshape(x.shape)
    origin = np.take_along_axis(regions(numbers, *geometry), chosen, axis=-1)
    slope = np.zeros(x.size)
    np.add.at(slope, origin.ravel() - 1, weight.ravel())
    return slope.reshape(x.shape)


@pytest.fixture
def check_draws(monkeypatch, gradient, to_numpy):
    """Returns a check that NumPy, given the draws, gets the layer's result."""

    def check(geometry, graph, outputs=True):
        sizes, *geometry, data_format = geometry
        x = positive_map(sizes)
        places = regions(x, *geometry)
        rng = np.random.default_rng(1)
        draw = rng.random(places.shape[:-1], "float32")
        weight = rng.normal(size=draw.shape).astype("float32")
        chosen = invert(draw, places)
        slope = expected_slope(x, chosen, weight, geometry)
        expected = np.take_along_axis(places, chosen, axis=-1)[..., 0]
        x, draw, weight, slope, expected = (
            ordered(part, data_format)
            for part in (x, draw, weight, slope, expected)
        )

        def uniform(shape, dtype, seed):
            # One for each sample, channel and region, in full precision.
            asked.append((tuple(shape), dtype, seed))
            return keras.ops.convert_to_tensor(draw)

        def pool(x):
            return layer(x, training=True)

        def weighted(x):
            return pool(x) * keras.ops.convert_to_tensor(weight)

        asked: list[tuple] = []
        monkeypatch.setattr(keras.random, "uniform", uniform)
        layer = LAYERS[len(sizes)](*geometry, data_format)
        # Overlapping regions add their gradients, in float32.
        found = gradient(graph(weighted), x)
        np.testing.assert_allclose(found, slope, atol=1e-5)
        ((shape, *options),) = asked
        assert options == ["float32", layer.seed_generator]
        if all(isinstance(size, int) for size in shape):
            assert shape == draw.shape
        if outputs:
            np.testing.assert_array_equal(to_numpy(graph(pool)(x)), expected)

    return check


@every_geometry
def test_a_region_gives_what_its_draw_says_and_the_gradient_goes_there(
    geometry, compiled, check_draws
):
    check_draws(geometry, compiled)


@hypothesis.given(data=st.data())
@hypothesis.settings(
    max_examples=6 if keras.backend.backend() == "tensorflow" else 3,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_the_gradient_goes_where_the_draw_says_in_any_geometry(
    data, compiled, check_draws
):
    rank = data.draw(st.integers(1, 3))
    numbers = st.tuples(*[st.integers(1, 4 if rank < 3 else 2)] * rank)
    window = data.draw(numbers)
    more = data.draw(st.tuples(*[st.integers(0, 3)] * rank))
    geometry = (
        tuple(k + extra for k, extra in zip(window, more, strict=True)),
        window,
        data.draw(numbers),
        data.draw(st.sampled_from(["valid", "same"])),
        data.draw(st.sampled_from(["channels_last", "channels_first"])),
    )
    check_draws(geometry, compiled, outputs=False)


@every_geometry
def test_inference_is_the_average_weighted_by_the_probabilities(
    geometry, to_numpy
):
    sizes, *geometry, data_format = geometry
    x = positive_map(sizes)
    places = regions(x.astype("float64"), *geometry)
    expected = ordered((places**2).sum(-1) / places.sum(-1), data_format)
    layer = LAYERS[len(sizes)](*geometry, data_format)
    y = to_numpy(layer(ordered(x, data_format)))
    np.testing.assert_allclose(y, expected, rtol=1e-5)


@every_geometry
def test_regions_are_those_of_max_pooling(geometry, to_numpy):
    sizes, *geometry, data_format = geometry
    x = positive_map(sizes)
    highest = ordered(regions(x, *geometry).max(-1), data_format)
    x = ordered(x, data_format)
    theirs = MAX_POOLING[len(sizes)](*geometry, data_format)(x)
    np.testing.assert_array_equal(to_numpy(theirs), highest)
    layer = LAYERS[len(sizes)](*geometry, data_format)
    assert layer.compute_output_shape(x.shape) == highest.shape


def draws_of(region, dtype="float32"):
    """What many draws from one region give, as float64."""
    one = np.array(region, "float32")[None, ..., None]
    x = keras.ops.cast(np.repeat(one, DRAWS, axis=0), dtype)
    layer = LAYERS[one.ndim - 2](np.shape(region), seed=1, dtype=dtype)
    y = keras.ops.cast(layer(x, training=True), "float32")
    return keras.ops.convert_to_numpy(y).reshape(DRAWS).astype("float64")


@pytest.mark.parametrize(
    ("region", "dtype"),
    [
        ([[1, 2], [3, 4]], "float32"),
        ([[0, 5], [-7, 15]], "float32"),
        ([[1, 2], [3, 2000]], "bfloat16"),
        ([[60_000, 20_480], [30_720, 40_960]], "float16"),
        ([4, 1], "float16"),
        ([[[1, 2], [3, 4]], [[5, 6], [7, 1000]]], "float32"),
    ],
)
def test_elements_are_drawn_by_their_share_of_the_sum(region, dtype, to_numpy):
    values = draws_of(region, dtype)
    places = np.array(region, "float32").ravel()
    places = to_numpy(keras.ops.cast(places, dtype)).astype("float64")
    share = np.maximum(places, 0) / np.maximum(places, 0).sum()
    assert set(values) <= set(places[places > 0])
    for value, p in zip(places, share, strict=True):
        # Five standard errors of the share of so many draws.
        error = 5 * np.sqrt(p * (1 - p) / DRAWS)
        assert (values == value).mean() == pytest.approx(p, abs=error)


def test_a_constant_region_is_drawn_from_evenly(gradient):
    x = np.ones((DRAWS // 4, 5, 5, 1), "float32")
    layer = StochasticPooling2D(3, padding="same", seed=3)
    times = gradient(drawing(layer, x.shape), x)[..., 0]
    # Two regions a row, the second of two places and one of padding.
    places = np.outer([3, 3, 3, 2, 2], [3, 3, 3, 2, 2])
    # Five standard errors of the share of so many draws.
    error = 5 * np.sqrt(1 / places * (1 - 1 / places) / len(x))
    assert (abs(times.mean(0) - 1 / places) <= error).all()


def test_regions_channels_and_samples_are_drawn_independently():
    count = DRAWS // 2
    region = np.array([[1, 2], [3, 4]], "float32")
    x = np.tile(region[None, :, :, None], (count, 1, 2, 2))  # two regions wide
    y = StochasticPooling2D(seed=4)(x, training=True)
    hit = keras.ops.convert_to_numpy(y)[:, 0] == 4  # (count, regions, channels)
    even, odd = hit[::2], hit[1::2]
    streams = [
        part[:, region, channel]
        for part in (even, odd)
        for region in (0, 1)
        for channel in (0, 1)
    ]
    # Five standard errors of a correlation of so many independent pairs.
    for one, other in itertools.combinations(streams, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(len(even))


def test_draws_average_to_inference(to_numpy):
    region = np.array([[0.5, 1], [2, 5]])
    share = region / region.sum()
    mean = to_numpy(StochasticPooling2D()(region[None, ..., None])).item()
    assert mean == pytest.approx((share * region).sum(), rel=1e-6)
    # Five standard errors of the mean of so many draws.
    spread = np.sqrt((share * (region - mean) ** 2).sum())
    assert draws_of(region).mean() == pytest.approx(
        mean, abs=5 * spread / np.sqrt(DRAWS)
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_does_not_overflow(dtype, compiled, gradient, to_numpy):
    x = keras.ops.full((2, 6, 6, 1), 60_000.0, dtype)
    layer = StochasticPooling2D(3, dtype=dtype, seed=6)
    draw = compiled(drawing(layer, x.shape))
    average = compiled(layer)
    for y in (draw(x), average(x)):
        assert keras.backend.standardize_dtype(y.dtype) == dtype
        np.testing.assert_array_equal(to_numpy(y), to_numpy(x)[:, :2, :2])
    slope = gradient(draw, x).astype("float32")
    assert set(np.unique(slope)) == {0, 1}
    assert slope.sum() == 8  # one for each region
    # (2 a_i - average) / sum(a) = 1/9, to the precision of bfloat16.
    slope = gradient(average, x).astype("float32")
    np.testing.assert_allclose(slope, 1 / 9, rtol=2**-8)


def test_gradient_of_inference_is_that_of_the_weighted_average(
    compiled, gradient
):
    x = positive_map((4, 6), channels=2)
    x[0, :2, :2] = 0  # a region without a positive activation
    geometry = (2, None, "valid")
    places = regions(x, *geometry)
    total = places.sum(-1)
    total[total == 0] = np.inf
    average = (places**2).sum(-1) / total
    slope = sum(
        expected_slope(
            x,
            np.full((*total.shape, 1), place),
            (2 * places[..., place] - average) / total,
            geometry,
        )
        for place in range(4)
    )
    np.testing.assert_allclose(
        gradient(compiled(StochasticPooling2D()), x),
        slope,
        rtol=1e-4,
        atol=1e-6,
    )


def test_negative_input_is_taken_as_after_a_relu(compiled, gradient, to_numpy):
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype("float32")
    x[0, :2, :2] = -1
    x[0, 2:4, :2] = 0
    layer = StochasticPooling2D(seed=7)
    for pool in (compiled(drawing(layer, x.shape)), compiled(layer)):
        y = to_numpy(pool(x))
        np.testing.assert_array_equal(y, to_numpy(pool(np.maximum(x, 0))))
        assert (y[0, :2, 0] == 0).all()  # no positive activation to choose
        slope = gradient(pool, x)
        assert (slope[x <= 0] == 0).all()
        assert (slope != 0).any()


def test_a_region_whose_sum_is_not_finite_gives_that(
    compiled, gradient, to_numpy
):
    x = np.ones((1, 4, 6, 1), "float32")
    x[0, 1, 2] = np.nan  # in the second region of the first row
    x[0, 2:, 4:, 0] = [[np.inf, 1], [1, np.inf]]
    x[0, 3, 0] = -np.inf  # counts as zero
    expected = np.reshape([[1, np.nan, 1], [1, 1, np.inf]], (1, 2, 3, 1))
    layer = StochasticPooling2D(seed=9)
    draw = compiled(drawing(layer, x.shape))
    np.testing.assert_array_equal(to_numpy(draw(x)), expected)
    np.testing.assert_array_equal(to_numpy(compiled(layer)(x)), expected)
    slope = gradient(draw, x)
    assert (slope[0, :2, 2:4] == 0).all()
    assert (slope[0, 2:, 4:] == 0).all()
    assert slope.sum() == 4  # of six regions


@pytest.fixture
def graph_of_any_size(compiled):
    """On TensorFlow one graph for maps of all sizes; others compile anew."""

    def compile_for_any_size(function):
        if keras.backend.backend() != "tensorflow":
            return compiled(function)
        import tensorflow as tf

        signature = [tf.TensorSpec((None, None, None, 3), "float32")]
        return tf.function(function, input_signature=signature)

    return compile_for_any_size


@pytest.mark.parametrize(
    "geometry",
    [
        ((5, 6), 2, None, "valid", "channels_last"),
        ((7, 4), 3, 2, "same", "channels_last"),
        ((8, 5), 2, 3, "same", "channels_last"),
    ],
)
def test_height_and_width_may_be_unknown(
    geometry, graph_of_any_size, check_draws, to_numpy
):
    layer = StochasticPooling2D(*geometry[1:])
    assert layer(keras.Input((None, None, 3))).shape == (None, None, None, 3)
    check_draws(geometry, graph_of_any_size)
    x = positive_map(geometry[0])
    np.testing.assert_allclose(
        to_numpy(graph_of_any_size(layer)(x)), to_numpy(layer(x)), rtol=1e-6
    )


def test_whole_numbers_are_pooled_as_floats(to_numpy):
    x = np.array([1, 3], "int32").reshape(1, 2, 1)
    y = StochasticPooling1D()(x)
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    assert to_numpy(y).item() == 2.5


def test_the_default_data_format_is_saved_with_the_layer():
    layer = StochasticPooling2D()
    before = layer.get_config()
    default = keras.config.image_data_format()
    try:
        keras.config.set_image_data_format("channels_first")
        again = StochasticPooling2D.from_config(before)
        assert again.get_config() == layer.get_config() == before
        assert again.compute_output_shape((1, 4, 6, 5)) == (1, 2, 3, 5)
        other = StochasticPooling2D()
        assert other.compute_output_shape((1, 5, 4, 6)) == (1, 5, 2, 3)
    finally:
        keras.config.set_image_data_format(default)


@pytest.mark.parametrize("training", [True, False])
def test_a_map_smaller_than_the_window_is_refused(training):
    layer = StochasticPooling2D(3)
    sentence = (
        r"`pool_size` must fit into the input. Received: pool_size=3 and an "
        r"input of shape \(1, 2, 5, 1\); take a smaller window"
    )
    with pytest.raises(ValueError, match=sentence):
        layer(np.ones((1, 2, 5, 1), "float32"), training=training)
    with pytest.raises(ValueError, match="`pool_size` must fit"):
        layer.compute_output_shape((None, 2, 5, 1))


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"pool_size": 0}, ValueError, "`pool_size` must be an integer from 1"),
        ({"pool_size": (2, 2, 2)}, ValueError, r"or 2 of them.*\(2, 2, 2\)"),
        ({"pool_size": "2"}, TypeError, "`pool_size` must be .*='2'"),
        ({"pool_size": 2.0}, TypeError, "`pool_size` must be .*=2.0"),
        ({"strides": (1, 0)}, ValueError, r"`strides` must be .*\(1, 0\)"),
        (
            {"padding": "full"},
            ValueError,
            "`padding` must be 'valid' or 'same'",
        ),
        ({"data_format": "NHWC"}, ValueError, "`data_format` must .*'NHWC'"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, error, sentence):
    with pytest.raises(error, match=f"StochasticPooling2D: .*{sentence}"):
        StochasticPooling2D(**arguments)
