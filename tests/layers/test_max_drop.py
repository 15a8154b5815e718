import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropzoo.layers import MaxDrop

MAPS = 20_000


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


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


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    spatial=st.sampled_from([(6, 6), (3, 7), (9, 2), (8,), (3, 4, 2)]),
    block_size=st.sampled_from([1, 2, 3]),
    shift=st.sampled_from([0, -10]),
)
def test_a_map_loses_its_maximum_with_the_square_around_it(
    spatial, block_size, shift
):
    x = normal(8, *spatial, 4) + np.float32(shift)
    layer = MaxDrop(0.5, block_size=block_size, data_format="channels_last")
    y = keras.ops.convert_to_numpy(layer(x, training=True))
    # 32 fair draws come out all alike once in two thousand million times.
    assert 0 < hits_of_maps(x, y, 0.5, block_size).sum() < 32


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.9])
def test_maps_are_hit_at_the_rate_and_each_by_itself(rate, to_numpy):
    x = np.ones((MAPS // 8, 2, 2, 8), "float32")
    layer = MaxDrop(rate, data_format="channels_last", seed=1)
    hit = to_numpy(layer(x, training=True))[:, 0, 0] == 0
    # Five standard errors of so many draws.
    error = 5 * np.sqrt(rate * (1 - rate) / MAPS)
    assert hit.mean() == pytest.approx(rate, abs=error)
    assert 0 < hit.any(axis=1).sum() and not hit.all(axis=1).all()


@pytest.mark.parametrize("place", [(0, 0), (0, 2), (2, 2)])
def test_the_mask_keeps_its_sum_at_the_edges_too(place, to_numpy):
    x = np.ones((MAPS, 5, 4, 1), "float32")
    x[:, place[0], place[1]] = 2
    layer = MaxDrop(0.4, block_size=3, data_format="channels_last", seed=2)
    mask = to_numpy(layer(x, training=True)) / x
    sums = mask.sum(axis=(1, 2, 3))
    # Five standard errors of the mean of so many maps.
    error = 5 * sums.std() / np.sqrt(MAPS)
    assert sums.mean() == pytest.approx(20, abs=error)
    assert len(np.unique(sums)) == 2


@pytest.mark.parametrize("shift", [0, -10])
def test_a_position_loses_its_largest_channel(shift, to_numpy):
    x = normal(50, 5, 3, 7) + np.float32(shift)
    layer = MaxDrop(0.3, mode="channel", data_format="channels_last", seed=3)
    y = to_numpy(layer(x, training=True))
    largest = x == x.max(axis=-1, keepdims=True)
    hit = (y == 0).any(axis=-1, keepdims=True)
    expected = np.where(largest & hit, 0, x / (1 - 0.3 / 7))
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    # Five standard errors of 750 draws, one for each position.
    error = 5 * np.sqrt(0.3 * 0.7 / hit.size)
    assert hit.mean() == pytest.approx(0.3, abs=error)


@pytest.mark.parametrize("mode", ["feature", "channel"])
def test_of_equal_values_the_first_alone_falls(mode, to_numpy):
    layer = MaxDrop(0.99, mode=mode, data_format="channels_last", seed=0)
    y = to_numpy(layer(np.ones((20, 3, 3, 4), "float32"), training=True))
    dropped = y == 0
    fell = np.zeros(dropped.shape, bool)
    fell[(slice(None), 0, 0) if mode == "feature" else (..., 0)] = True
    assert not (dropped & ~fell).any()
    assert dropped.sum() > 0.8 * fell.sum()


@pytest.mark.parametrize("block_size", [5, 8])
def test_a_window_over_the_whole_map_drops_maps(block_size, to_numpy):
    layer = MaxDrop(0.75, block_size=2 * block_size, seed=0)
    y = to_numpy(layer(np.ones((40, 5, 3, 2), "float32"), training=True))
    maps = y.transpose(0, 3, 1, 2).reshape(80, -1)
    assert (maps == maps[:, :1]).all()
    np.testing.assert_allclose(np.unique(maps), [0, 4], rtol=1e-6)


@pytest.mark.parametrize("mode", ["feature", "channel"])
def test_data_formats_agree(mode, to_numpy):
    x = normal(6, 5, 3, 4)
    last, first = (
        MaxDrop(0.5, mode=mode, data_format=data_format, seed=4)
        for data_format in ("channels_last", "channels_first")
    )
    expected = to_numpy(last(x, training=True))
    y = to_numpy(first(np.moveaxis(x, -1, 1), training=True))
    np.testing.assert_allclose(np.moveaxis(y, 1, -1), expected, rtol=1e-6)
    assert (expected == 0).any()


def test_the_data_format_is_that_of_keras_unless_given(to_numpy):
    x = np.ones((200, 2, 2, 3), "float32")
    assert keras.config.image_data_format() == "channels_last"
    y = to_numpy(MaxDrop(0.5, seed=1)(x, training=True))
    np.testing.assert_allclose(np.unique(y), [0, 8 / 7], rtol=1e-6)


@pytest.mark.parametrize(
    ("rate", "training"), [(0, True), (0.5, False), (0, False)]
)
def test_inference_and_rate_zero_are_the_identity(rate, training, to_numpy):
    x = normal(2, 4, 4, 3)
    y = MaxDrop(rate)(x, training=training)
    np.testing.assert_array_equal(to_numpy(y), x)


@pytest.mark.parametrize("mode", ["feature", "channel"])
def test_gradients_flow_through_what_is_kept_alone(mode, gradient):
    layer = MaxDrop(0.5, mode=mode, seed=5)
    outputs = []

    def record(x):
        outputs.append(layer(x, training=True))
        return outputs[-1]

    slopes = gradient(record, normal(8, 4, 4, 2))
    share = 1 / 16 if mode == "feature" else 1 / 2
    scale = 1 / (1 - 0.5 * share)
    np.testing.assert_allclose(np.unique(slopes), [0, scale], rtol=1e-6)
    danger = 16 if mode == "feature" else 128
    assert 0 < (slopes == 0).sum() < danger


def test_infinite_maxima_fall_to_zero(gradient, to_numpy):
    x = np.zeros((64, 3, 3, 1), "float32")
    x[:, 1, 1] = np.inf
    y = to_numpy(MaxDrop(0.5, seed=6)(x, training=True))
    assert set(np.unique(y)) == {0, np.inf}
    slopes = gradient(lambda x: MaxDrop(0.5, seed=6)(x, training=True), x)
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_its_type_and_its_share(dtype, to_numpy):
    layer = MaxDrop(0.002, seed=7, dtype=dtype)
    y = layer(keras.ops.ones((MAPS, 1, 1, 1), dtype), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    # bfloat16 cannot tell 0.002 from its neighbours to the third digit.
    share = (to_numpy(y) == 0).mean()
    assert share == pytest.approx(0.002, abs=5 * np.sqrt(0.002 / MAPS))
    assert share > 0


def test_channels_may_be_dropped_without_a_map(to_numpy):
    layer = MaxDrop(0.5, mode="channel", seed=8)
    y = to_numpy(layer(np.array([[1, 3, 2]] * 50, "float32"), training=True))
    np.testing.assert_allclose(np.unique(y[:, 1]), [0, 3.6], rtol=1e-6)
    assert (y[:, [0, 2]] > 0).all()


def test_sizes_may_be_unknown_in_a_graph(to_numpy):
    layer = MaxDrop(0.5, block_size=2, data_format="channels_last", seed=9)
    function = in_a_graph_without_sizes(layer)
    for shape in ((8, 5, 3, 4), (4, 2, 7, 8)):
        x = normal(*shape)
        y = to_numpy(function(x))
        assert 0 < hits_of_maps(x, y, 0.5, 2).sum() < 32


def in_a_graph_without_sizes(layer):
    """The layer in training; TensorFlow alone has graphs without sizes."""

    def train(x):
        return layer(x, training=True)

    if keras.backend.backend() != "tensorflow":
        return train
    import tensorflow as tf

    unknown = tf.TensorSpec([None] * 4, "float32")
    return tf.function(train, input_signature=[unknown])


def test_a_map_has_a_spatial_axis():
    with pytest.raises(ValueError, match="min_ndim=3"):
        MaxDrop(0.5)(np.ones((2, 3), "float32"))


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (
            {"rate": 1.0},
            ValueError,
            r"`rate` must be in \[0, 1\). Received: rate=1.0",
        ),
        ({"rate": -0.5}, ValueError, "`rate` must be in .*rate=-0.5"),
        (
            {"mode": "pixel"},
            ValueError,
            "`mode` must be 'feature' or 'channel'.*'pixel'",
        ),
        (
            {"block_size": 0},
            ValueError,
            "`block_size` must be an integer .*block_size=0",
        ),
        (
            {"block_size": 2.5},
            TypeError,
            "`block_size` must be an integer .*2.5",
        ),
        (
            {"mode": "channel", "block_size": 3},
            ValueError,
            "`block_size` must be 1 with mode='channel'.*block_size=3",
        ),
        ({"data_format": "NHWC"}, ValueError, "`data_format` must be .*'NHWC'"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        MaxDrop(**{"rate": 0.5, **arguments})
