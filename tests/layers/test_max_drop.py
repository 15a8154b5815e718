import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropzoo.layers import MaxDrop

# Few shapes: JAX compiles every operation for each of them.
EXAMPLES = 8 if keras.backend.backend() == "tensorflow" else 3
FEW = (8, 5, 3, 4)  # 32 maps
MANY = (2500, 5, 3, 8)  # 20,000 maps
POSITIONS = (16, 4, 6, 7)  # 384 of them, with 7 channels


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def max_drop(rate, **options):
    return MaxDrop(rate, **{"data_format": "channels_last", **options})


def window(values, block_size):
    """The first maximum of an array and its neighbours, clipped, as a mask."""
    mask = np.zeros(values.shape, bool)
    place = np.unravel_index(np.argmax(values), values.shape)
    before = (block_size - 1) // 2
    square = tuple(
        slice(max(i - before, 0), i - before + block_size) for i in place
    )
    mask[square] = True
    return mask


def hits_of_maps(x, y, rate, block_size):
    """Which maps were hit, once every map is what the formula says."""
    hits = np.zeros((x.shape[0], x.shape[-1]), bool)
    for sample, channel in np.ndindex(hits.shape):
        before, after = x[sample, ..., channel], y[sample, ..., channel]
        square = window(before, block_size)
        scaled = before / (1 - rate * square.mean())
        hits[sample, channel] = (after[square] == 0).all()
        expected = np.where(square & hits[sample, channel], 0, scaled)
        np.testing.assert_allclose(after, expected, rtol=1e-5)
    return hits


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(
    spatial=st.sampled_from([(5, 3), (3, 7), (3, 4, 2)]),
    block_size=st.sampled_from([1, 2, 3]),
    shift=st.sampled_from([0, -10]),
)
def test_a_map_loses_its_maximum_with_the_square_around_it(
    spatial, block_size, shift
):
    x = normal(8, *spatial, 4) + np.float32(shift)
    layer = max_drop(0.5, block_size=block_size)
    y = keras.ops.convert_to_numpy(layer(x, training=True))
    # 32 fair draws come out all alike once in two thousand million times.
    assert 0 < hits_of_maps(x, y, 0.5, block_size).sum() < 32


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.9])
def test_maps_are_hit_at_the_rate_and_each_by_itself(rate, to_numpy):
    x = np.ones(MANY, "float32")
    hit = to_numpy(max_drop(rate, seed=1)(x, training=True))[:, 0, 0] == 0
    # Five standard errors of so many draws, and of as many pairs of them.
    error = 5 * np.sqrt(rate * (1 - rate) / hit.size)
    assert hit.mean() == pytest.approx(rate, abs=error)
    pairs = hit & np.roll(hit, 1, axis=1)
    error = 5 * np.sqrt(rate**2 * (1 - rate**2) / hit.size)
    assert pairs.mean() == pytest.approx(rate**2, abs=error)


@pytest.mark.parametrize("place", [(0, 0), (2, 0), (2, 1)])
def test_the_mask_keeps_its_sum_at_the_edges_too(place, to_numpy):
    x = np.ones(MANY, "float32")
    x[:, place[0], place[1]] = 2
    layer = max_drop(0.4, block_size=3, seed=2)
    mask = to_numpy(layer(x, training=True)) / x
    sums = mask.sum(axis=(1, 2))
    # Five standard errors of the mean of so many maps.
    error = 5 * sums.std() / np.sqrt(sums.size)
    assert 0 < error < 0.3
    assert sums.mean() == pytest.approx(15, abs=error)


@pytest.mark.parametrize("shift", [0, -10])
def test_a_position_loses_its_largest_channel(shift, to_numpy):
    x = normal(*POSITIONS) + np.float32(shift)
    y = to_numpy(max_drop(0.3, mode="channel", seed=3)(x, training=True))
    largest = x == x.max(axis=-1, keepdims=True)
    hit = (y == 0).any(axis=-1, keepdims=True)
    expected = np.where(largest & hit, 0, x / (1 - 0.3 / 7))
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    # Five standard errors of 384 draws, one for each position.
    error = 5 * np.sqrt(0.3 * 0.7 / hit.size)
    assert hit.mean() == pytest.approx(0.3, abs=error)


@pytest.mark.parametrize("mode", ["feature", "channel"])
def test_of_equal_values_the_first_alone_falls(mode, to_numpy):
    shape = FEW if mode == "feature" else POSITIONS
    layer = max_drop(0.99, mode=mode, seed=0)
    dropped = to_numpy(layer(np.ones(shape, "float32"), training=True)) == 0
    first = np.zeros(shape, bool)
    first[(slice(None), 0, 0) if mode == "feature" else (..., 0)] = True
    assert not (dropped & ~first).any()
    assert dropped.sum() > 0.8 * first.sum()


@pytest.mark.parametrize("block_size", [10, 15])
def test_a_window_over_the_whole_map_drops_maps(block_size, to_numpy):
    x = np.ones(FEW, "float32")
    y = to_numpy(max_drop(0.75, block_size=block_size)(x, training=True))
    assert (y == y[:, :1, :1]).all()
    np.testing.assert_allclose(np.unique(y), [0, 4], rtol=1e-6)


@pytest.mark.parametrize("mode", ["feature", "channel"])
def test_data_formats_agree(mode, to_numpy):
    x = normal(*FEW) if mode == "feature" else normal(*POSITIONS)
    last, first = (
        MaxDrop(0.5, mode=mode, data_format=data_format, seed=4)
        for data_format in ("channels_last", "channels_first")
    )
    expected = to_numpy(last(x, training=True))
    y = to_numpy(first(np.moveaxis(x, -1, 1), training=True))
    np.testing.assert_allclose(np.moveaxis(y, 1, -1), expected, rtol=1e-6)
    assert (expected == 0).any()


def test_the_data_format_is_that_of_keras_unless_given(to_numpy):
    assert keras.config.image_data_format() == "channels_last"
    y = to_numpy(MaxDrop(0.5, seed=1)(np.ones(FEW, "float32"), training=True))
    np.testing.assert_allclose(np.unique(y), [0, 30 / 29], rtol=1e-6)
    assert not (y[:, 1:] == 0).any()


@pytest.mark.parametrize(
    ("rate", "training"), [(0, True), (0.5, False), (0, False)]
)
def test_inference_and_rate_zero_are_the_identity(rate, training, to_numpy):
    x = normal(*FEW)
    y = MaxDrop(rate)(x, training=training)
    np.testing.assert_array_equal(to_numpy(y), x)


@pytest.mark.parametrize("mode", ["feature", "channel"])
def test_gradients_flow_through_what_is_kept_alone(mode, gradient, to_numpy):
    x = normal(*FEW) if mode == "feature" else normal(*POSITIONS)
    layer, twin = (max_drop(0.5, mode=mode, seed=5) for _ in range(2))
    slopes = gradient(lambda x: layer(x, training=True), x)
    y = to_numpy(twin(x, training=True))
    np.testing.assert_allclose(slopes, y / x, rtol=1e-5)
    assert (slopes == 0).any()


def test_infinite_maxima_fall_to_zero(gradient, to_numpy):
    x = np.zeros(FEW, "float32")
    x[:, 1, 1] = np.inf
    layer, twin = (max_drop(0.5, seed=6) for _ in range(2))
    y = to_numpy(layer(x, training=True))
    assert set(np.unique(y)) == {0, np.inf}
    assert not (y[:, 1, 1] == np.inf).all()
    slopes = gradient(lambda x: twin(x, training=True), x)
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_its_type_and_its_share(dtype, to_numpy):
    ones = keras.ops.ones(MANY, dtype)
    y = max_drop(0.002, seed=7, dtype=dtype)(ones, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    # Five standard errors. bfloat16 cannot tell 0.998 from 1: drawn in it,
    # the share would be another.
    share = (to_numpy(y)[:, 0, 0] == 0).mean()
    error = 5 * np.sqrt(0.002 / 20_000)
    assert share == pytest.approx(0.002, abs=error)
    assert share > 0


def test_channels_may_be_dropped_without_a_map(to_numpy):
    layer = max_drop(0.5, mode="channel", seed=8)
    y = to_numpy(layer(np.array([[1, 3, 2]] * 50, "float32"), training=True))
    np.testing.assert_allclose(np.unique(y[:, 1]), [0, 3.6], rtol=1e-6)
    assert (y[:, [0, 2]] > 0).all()


def test_sizes_may_be_unknown_in_a_graph(to_numpy):
    layer = max_drop(0.5, block_size=2, seed=9)

    def train(x):
        return layer(x, training=True)

    # TensorFlow alone has graphs that know no sizes.
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        unknown = tf.TensorSpec([None] * 4, "float32")
        train = tf.function(train, input_signature=[unknown])
    for spatial in ((5, 3), (3, 7)):
        x = normal(8, *spatial, 4)
        y = to_numpy(train(x))
        assert 0 < hits_of_maps(x, y, 0.5, 2).sum() < 32


def test_a_map_has_a_spatial_axis():
    with pytest.raises(ValueError, match="min_ndim=3"):
        MaxDrop(0.5)(np.ones((2, 3), "float32"))


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"rate": 1.0}, ValueError, r"`rate` must be in \[0, 1\).*rate=1.0"),
        ({"rate": -0.5}, ValueError, "`rate` must be in .*rate=-0.5"),
        ({"mode": "pixel"}, ValueError, "'feature' or 'channel'.*'pixel'"),
        ({"block_size": 0}, ValueError, "`block_size` must .*block_size=0"),
        ({"block_size": 2.5}, TypeError, "`block_size` must be an .*2.5"),
        (
            {"mode": "channel", "block_size": 3},
            ValueError,
            "`block_size` must be 1 with mode='channel'.*block_size=3",
        ),
        ({"data_format": "NHWC"}, ValueError, "`data_format` must .*'NHWC'"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        MaxDrop(**{"rate": 0.5, **arguments})
