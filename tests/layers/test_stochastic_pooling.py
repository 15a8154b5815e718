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
# Sizes of a map, window, strides and padding.
GEOMETRIES = [
    ((11,), 3, 2, "valid"),
    ((7, 9), 2, None, "valid"),
    ((6, 5), (3, 2), (2, 1), "same"),
    ((8, 7), 2, (3, 5), "valid"),  # places between windows
    ((8, 11), 2, (3, 5), "same"),
    ((7, 7), 7, None, "valid"),  # the whole map
    ((3, 4), 5, 2, "same"),  # larger than the map
    ((3, 5, 4), (2, 3, 2), (2, 2, 1), "same"),
]
every_geometry = pytest.mark.parametrize(
    ("sizes", "window", "strides", "padding"), GEOMETRIES
)


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


def positive_map(sizes, batch=2, channels=3):
    x = np.random.default_rng(0).gamma(1, size=(batch, *sizes, channels))
    return x.astype("float32")


def channels_first(x):
    return np.moveaxis(x, -1, 1)


def draws_of(region, dtype="float32", window=(2, 2), **options):
    """What many draws from one region give, as float64."""
    rank = len(window)
    one = np.reshape(region, (1, *window, 1)).astype("float32")
    x = keras.ops.cast(np.repeat(one, DRAWS, axis=0), dtype)
    layer = LAYERS[rank](window, seed=1, dtype=dtype, **options)
    y = keras.ops.cast(layer(x, training=True), "float32")
    return keras.ops.convert_to_numpy(y).reshape(DRAWS).astype("float64")


def check_draws(sizes, window, strides, padding, gradient, compiled, to_numpy):
    """The one draw of each region inverts the sum of its probabilities."""
    x = positive_map(sizes)
    layer = LAYERS[len(sizes)](window, strides, padding, seed=5)
    pool = drawing(layer, x.shape)
    places = regions(x, window, strides, padding)
    sums = np.cumsum(places, axis=-1)
    uniform = to_numpy(
        keras.random.uniform(sums.shape[:-1], seed=layer.seed_generator)
    )
    passed = sums <= (uniform * sums[..., -1])[..., None]
    chosen = passed.sum(-1, keepdims=True)
    expected = np.take_along_axis(places, chosen, axis=-1)[..., 0]
    np.testing.assert_array_equal(to_numpy(compiled(pool)(x)), expected)

    weight = np.random.default_rng(1).normal(size=expected.shape)
    weight = weight.astype("float32")
    numbers = np.arange(1, x.size + 1).reshape(x.shape)
    origin = np.take_along_axis(
        regions(numbers, window, strides, padding), chosen, axis=-1
    )
    slope = np.zeros(x.size)
    np.add.at(slope, origin.ravel() - 1, weight.ravel())
    found = gradient(compiled(lambda x: pool(x) * weight), x)
    # Overlapping regions add their gradients, in float32.
    np.testing.assert_allclose(found, slope.reshape(x.shape), atol=1e-5)


@every_geometry
def test_a_region_gives_what_its_draw_says_and_the_gradient_goes_there(
    sizes, window, strides, padding, gradient, compiled, to_numpy
):
    check_draws(sizes, window, strides, padding, gradient, compiled, to_numpy)


@every_geometry
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_inference_is_the_average_weighted_by_the_probabilities(
    sizes, window, strides, padding, data_format, to_numpy
):
    x = positive_map(sizes)
    places = regions(x.astype("float64"), window, strides, padding)
    expected = (places**2).sum(-1) / places.sum(-1)
    layer = LAYERS[len(sizes)](window, strides, padding, data_format)
    if data_format == "channels_first":
        x, expected = channels_first(x), channels_first(expected)
    np.testing.assert_allclose(to_numpy(layer(x)), expected, rtol=1e-5)
    assert layer.compute_output_shape(x.shape) == expected.shape


@every_geometry
def test_regions_are_those_of_max_pooling(
    sizes, window, strides, padding, gradient, compiled, to_numpy
):
    count = math.prod(sizes)
    one_hot = np.eye(count, dtype="float32").reshape(count, *sizes, 1)
    pool = drawing(LAYERS[len(sizes)](window, strides, padding), one_hot.shape)
    theirs = MAX_POOLING[len(sizes)](window, strides, padding)(one_hot)
    theirs = to_numpy(theirs)
    # A region with one positive element has nothing to choose.
    np.testing.assert_array_equal(to_numpy(compiled(pool)(one_hot)), theirs)
    windows = theirs.sum(axis=tuple(range(1, theirs.ndim)))
    np.testing.assert_array_equal(
        gradient(compiled(pool), one_hot),
        one_hot * windows.reshape(-1, *(1,) * (one_hot.ndim - 1)),
    )


@hypothesis.given(data=st.data())
@hypothesis.settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_any_geometry_draws_from_its_regions(
    data, gradient, compiled, to_numpy
):
    rank = data.draw(st.integers(1, 3))
    numbers = st.tuples(*[st.integers(1, 4)] * rank)
    window = data.draw(numbers)
    strides = data.draw(st.none() | numbers)
    padding = data.draw(st.sampled_from(["valid", "same"]))
    more = data.draw(st.tuples(*[st.integers(0, 3)] * rank))
    sizes = tuple(k + extra for k, extra in zip(window, more, strict=True))
    check_draws(sizes, window, strides, padding, gradient, compiled, to_numpy)


def test_data_formats_differ_in_their_order_alone(gradient, to_numpy):
    x = positive_map((5, 6), channels=1)
    last = StochasticPooling2D(3, 2, seed=2)
    first = StochasticPooling2D(3, 2, "valid", "channels_first", seed=2)
    pool = drawing(last, x.shape)
    pool_first = drawing(first, channels_first(x).shape)
    # With one channel, both orders hold the same draws.
    np.testing.assert_array_equal(
        to_numpy(pool_first(channels_first(x))),
        channels_first(to_numpy(pool(x))),
    )
    np.testing.assert_array_equal(
        gradient(pool_first, channels_first(x)),
        channels_first(gradient(pool, x)),
    )


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    ("region", "window"),
    [
        ([1, 2, 3, 4], (2, 2)),
        ([0, 5, -7, 15], (2, 2)),
        ([4, 1], (2,)),
        ([60_000, 20_480, 30_720, 40_960], (2, 2)),
        ([1, 2, 3, 4, 5, 6, 7, 1000], (2, 2, 2)),
    ],
)
def test_elements_are_drawn_by_their_share_of_the_sum(region, window, dtype):
    values = draws_of(region, dtype, window)
    rounded = keras.ops.cast(np.array(region, "float32"), dtype)
    rounded = np.array(keras.ops.cast(rounded, "float32"), "float64")
    share = np.maximum(rounded, 0) / np.maximum(rounded, 0).sum()
    assert set(values) <= set(rounded[rounded > 0])
    for value, p in zip(rounded, share, strict=True):
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


def test_draws_average_to_inference():
    region = np.array([0.5, 1, 2, 5])
    values = draws_of(region)
    share = region / region.sum()
    mean = float(np.ravel(StochasticPooling2D()(region.reshape(1, 2, 2, 1)))[0])
    assert mean == pytest.approx((share * region).sum(), rel=1e-6)
    spread = np.sqrt((share * (region - mean) ** 2).sum())
    assert values.mean() == pytest.approx(mean, abs=5 * spread / DRAWS**0.5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_half_precision_does_not_overflow(dtype, padding, gradient, to_numpy):
    x = keras.ops.full((2, 6, 6, 1), 60_000.0, dtype)
    high = to_numpy(x)[0, 0, 0, 0]
    layer = StochasticPooling2D(3, padding=padding, dtype=dtype, seed=6)
    pool = drawing(layer, x.shape)
    for y in (pool(x), layer(x)):
        assert keras.backend.standardize_dtype(y.dtype) == dtype
        np.testing.assert_array_equal(to_numpy(y), np.full((2, 2, 2, 1), high))
    slope = gradient(lambda x: keras.ops.cast(pool(x), "float32"), x)
    assert set(np.unique(slope.astype("float32"))) == {0, 1}
    assert slope.astype("float32").sum() == 8  # one for each region
    slope = gradient(lambda x: keras.ops.cast(layer(x), "float32"), x)
    # (2 a_i - average) / sum(a) = 1/9, to half precision.
    np.testing.assert_allclose(slope.astype("float32"), 1 / 9, rtol=4e-3)


def test_gradient_of_inference_is_that_of_the_weighted_average(gradient):
    x = positive_map((4, 6), channels=2)
    x[0, :2, :2] = 0
    layer = StochasticPooling2D()
    places = x.reshape(2, 2, 2, 3, 2, 2).transpose(0, 1, 3, 5, 2, 4)
    total = places.sum((-1, -2), keepdims=True)
    total[total == 0] = np.inf
    average = (places**2).sum((-1, -2), keepdims=True) / total
    slope = (2 * places - average) / total
    slope = slope.transpose(0, 1, 4, 2, 5, 3).reshape(x.shape)
    np.testing.assert_allclose(gradient(layer, x), slope, rtol=1e-4, atol=1e-6)


def test_negative_input_is_taken_as_after_a_relu(gradient, to_numpy):
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype("float32")
    layer = StochasticPooling2D(seed=7)
    pool = drawing(layer, x.shape)
    relu = np.maximum(x, 0)
    np.testing.assert_array_equal(to_numpy(pool(x)), to_numpy(pool(relu)))
    np.testing.assert_array_equal(to_numpy(layer(x)), to_numpy(layer(relu)))
    for slope in (gradient(pool, x), gradient(layer, x)):
        assert (slope[x < 0] == 0).all()
        assert (slope != 0).any()


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_region_without_positive_activation_gives_zero_and_no_gradient(
    value, gradient, to_numpy
):
    x = np.full((2, 4, 4, 1), value, "float32")
    layer = StochasticPooling2D(3, 1, "same", seed=8)
    for pool in (drawing(layer, x.shape), layer):
        np.testing.assert_array_equal(to_numpy(pool(x)), np.zeros((2, 4, 4, 1)))
        np.testing.assert_array_equal(gradient(pool, x), np.zeros_like(x))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_region_whose_sum_is_not_finite_gives_that(value, gradient, to_numpy):
    x = np.ones((1, 4, 6, 2), "float32")
    x[0, 1, 2, 1] = value  # in the second region of the first row
    expected = np.ones((1, 2, 3, 2), "float32")
    expected[0, 0, 1, 1] = value
    layer = StochasticPooling2D(seed=9)
    pool = drawing(layer, x.shape)
    np.testing.assert_array_equal(to_numpy(pool(x)), expected)
    np.testing.assert_array_equal(to_numpy(layer(x)), expected)
    slope = gradient(pool, x)
    assert (slope[0, :2, 2:4, 1] == 0).all()
    assert slope.sum() == 11  # of twelve regions


def test_infinities_below_zero_are_never_drawn(to_numpy):
    x = np.full((1, 2, 2, 1), -np.inf, "float32")
    x[0, 1, 1] = 2
    layer = StochasticPooling2D()
    assert to_numpy(layer(x, training=True)).item() == 2
    assert to_numpy(layer(x)).item() == 2


def of_any_size(function):
    """On TensorFlow one graph for maps of every size; others compile anew."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    signature = [tf.TensorSpec((None, None, None, 2), "float32")]
    return tf.function(function, input_signature=signature)


@pytest.mark.parametrize(
    ("window", "strides", "padding"),
    [(2, None, "valid"), (3, 2, "same"), (2, 3, "same")],
)
def test_one_graph_takes_maps_of_every_size(
    window, strides, padding, gradient, to_numpy
):
    layer = StochasticPooling2D(window, strides, padding, seed=10)
    pool = drawing(layer, (None, None, None, 2))
    assert layer(keras.Input((None, None, 2))).shape == (None, None, None, 2)
    dynamic, average = of_any_size(pool), of_any_size(layer)
    for sizes in [(5, 6), (7, 4)]:
        x = positive_map(sizes, channels=2)
        np.testing.assert_array_equal(to_numpy(dynamic(x)), to_numpy(pool(x)))
        np.testing.assert_array_equal(gradient(dynamic, x), gradient(pool, x))
        np.testing.assert_allclose(
            to_numpy(average(x)), to_numpy(layer(x)), rtol=1e-6
        )


def test_equal_seeds_draw_the_same_and_each_call_anew(to_numpy):
    x = positive_map((8, 8))
    one, other = StochasticPooling2D(seed=11), StochasticPooling2D(seed=11)
    first, second = (to_numpy(one(x, training=True)) for _ in range(2))
    np.testing.assert_array_equal(to_numpy(other(x, training=True)), first)
    assert (first != second).any()


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
