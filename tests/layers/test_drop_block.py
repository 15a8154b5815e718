import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from dropzoo.layers import DropBlock2D

# JAX compiles its random numbers for each shape of seeds, which is that of the
# input less `block_size - 1` rows and columns: the tests share a few.
SEEDS = (16, 4, 6, 4)
EXAMPLES = 8 if keras.backend.backend() == "tensorflow" else 3


def drop_block(rate, **options):
    return DropBlock2D(rate, **{"data_format": "channels_last", **options})


def dropped(layer, shape):
    """Which cells of a batch of ones the layer drops."""
    ones = np.ones(shape, "float32")
    return keras.ops.convert_to_numpy(layer(ones, training=True)) == 0


def map_shape(block_size, data_format="channels_last"):
    """The shape of an input for which SEEDS are drawn."""
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    return tuple(
        size + (block_size - 1) * (axis in axes)
        for axis, size in enumerate(SEEDS)
    )


def count_covers(size, block_size):
    """How many blocks of an axis cover each of its cells, by counting."""
    block = min(block_size, size)
    starts = np.arange(size - block + 1)[:, None]
    cells = np.arange(size)
    return ((starts <= cells) & (cells < starts + block)).sum(axis=0)


def chances(height, width, block_size, gamma):
    """The probability that each cell is dropped, if seeds have `gamma`."""
    covers = np.outer(
        count_covers(height, block_size), count_covers(width, block_size)
    )
    return 1 - (1 - gamma) ** covers


def exact_gamma(rate, *geometry):
    """The gamma that drops `rate` of a map on average, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        enough = chances(*geometry, middle).mean() > rate
        low, high = (low, middle) if enough else (middle, high)
    return low


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3, 0.5])
@pytest.mark.parametrize(
    ("height", "width", "block_size"), [(14, 14, 7), (20, 9, 4)]
)
def test_the_nominal_share_is_dropped(rate, height, width, block_size):
    layer = drop_block(rate, block_size=block_size, seed=1)
    maps = dropped(layer, (256, height, width, 64)).mean(axis=(1, 2))
    # Five standard errors of the mean of 16,384 maps.
    error = 5 * maps.std() / np.sqrt(maps.size)
    assert error < 0.01
    assert maps.mean() == pytest.approx(rate, abs=error)


@pytest.mark.parametrize("rate", [0.3, 0.8])
def test_each_cell_is_dropped_as_often_as_blocks_cover_it(rate):
    layer = drop_block(rate, block_size=4, seed=2)
    cells = dropped(layer, (256, 20, 9, 64)).mean(axis=(0, 3))
    expected = chances(20, 9, 4, exact_gamma(rate, 20, 9, 4))
    # 16,384 maps; five standard errors leave room for the worst of 180 cells.
    error = 5 * np.sqrt(expected * (1 - expected) / 16384)
    assert (np.abs(cells - expected) < error).all()
    assert expected.mean() == pytest.approx(rate)


def open_by_blocks(marks, block_size, axes):
    """What remains of marks that are taken as unions of whole blocks."""
    shape = (block_size, block_size)
    full = sliding_window_view(marks, shape, axis=axes).all(axis=(-2, -1))
    covered = np.zeros_like(marks)
    for place in np.ndindex(*shape):
        part = [slice(None)] * 4
        for axis, start in zip(axes, place, strict=True):
            part[axis] = slice(start, start + full.shape[axis])
        covered[tuple(part)] |= full
    return covered


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(
    block_size=st.sampled_from([1, 2, 3, 5]),
    rate=st.sampled_from([0.1, 0.6]),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
)
def test_what_is_dropped_are_whole_blocks_on_the_map(
    block_size, rate, data_format
):
    layer = drop_block(
        rate, block_size=block_size, data_format=data_format, seed=3
    )
    marks = dropped(layer, map_shape(block_size, data_format))
    assert 0 < marks.sum() < marks.size
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    covered = open_by_blocks(marks, block_size, axes)
    np.testing.assert_array_equal(covered, marks)


def test_a_single_seed_drops_a_square():
    layer = drop_block(0.1, block_size=3, seed=4)
    areas = dropped(layer, map_shape(3)).sum(axis=(1, 2))
    assert min(areas[areas > 0]) == 9


def test_blocks_of_one_cell_are_dropout():
    layer = drop_block(0.3, block_size=1, seed=5)
    marks = dropped(layer, (256, 8, 8, 64))
    # Five standard errors of so many draws, and of so many pairs of them.
    error = 5 * np.sqrt(0.3 * 0.7 / marks.size)
    assert marks.mean() == pytest.approx(0.3, abs=error)
    pairs = marks[:, 1:] & marks[:, :-1]
    assert pairs.mean() == pytest.approx(0.09, abs=error)


def test_survivors_make_up_for_the_dropped(to_numpy):
    x = np.ones(map_shape(3), "float32")
    y = to_numpy(drop_block(0.3, block_size=3, seed=6)(x, training=True))
    kept = y[y > 0]
    assert 0 < kept.size < y.size
    np.testing.assert_allclose(kept, y.size / kept.size, rtol=1e-6)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_channels_share_blocks_where_they_are_drawn_per_sample(data_format):
    channel_axis = 3 if data_format == "channels_last" else 1
    for per in ("sample", "channel"):
        layer = drop_block(
            0.4, block_size=3, per=per, data_format=data_format, seed=7
        )
        marks = dropped(layer, map_shape(3, data_format))
        channels = np.moveaxis(marks, channel_axis, 0)
        assert (channels == channels[0]).all() == (per == "sample")
        assert (marks != marks[:1]).any()


def test_an_axis_shorter_than_a_block_falls_as_a_whole():
    layer = drop_block(0.3, block_size=9, seed=8)
    marks = dropped(layer, (16, 4, 6 + 8, 4))
    assert (marks == marks[:, :1]).all()
    columns = marks[:, 0].sum(axis=1)
    assert set(np.unique(columns)) <= {0, *range(9, 15)}
    # Five standard errors of the mean of 64 maps.
    error = 5 * columns.std() / 8
    assert columns.mean() == pytest.approx(0.3 * 14, abs=error)


def test_a_map_smaller_than_a_block_falls_as_a_whole():
    layer = drop_block(0.3, block_size=9, seed=9)
    marks = dropped(layer, (2500, 4, 4, 8))
    assert (marks == marks[:, :1, :1]).all()
    # Five standard errors of 20,000 draws.
    error = 5 * np.sqrt(0.3 * 0.7 / 20_000)
    assert marks.mean() == pytest.approx(0.3, abs=error)


def test_a_batch_without_survivors_is_zero_and_so_is_its_gradient(gradient):
    layer = drop_block(1 - 2**-24, seed=1)
    x = np.ones((2500, 4, 4, 8), "float32")
    assert dropped(layer, x.shape).all()
    slopes = gradient(lambda x: layer(x, training=True), x)
    np.testing.assert_array_equal(slopes, np.zeros_like(x))


@pytest.mark.parametrize(
    ("rate", "training"), [(0, True), (0.5, False), (0, False)]
)
def test_inference_and_rate_zero_are_the_identity(rate, training, to_numpy):
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    y = DropBlock2D(rate, block_size=3)(x, training=training)
    np.testing.assert_array_equal(to_numpy(y), x)


def test_gradients_flow_through_what_is_kept_alone(gradient, to_numpy):
    layer, twin = (drop_block(0.3, block_size=3, seed=10) for _ in range(2))
    x = np.ones(map_shape(3), "float32")
    slopes = gradient(lambda x: layer(x, training=True), x)
    y = to_numpy(twin(x, training=True))
    np.testing.assert_allclose(slopes, y, rtol=1e-6)
    assert (slopes == 0).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_dropped_is_zero_whatever_it_was(value, gradient, to_numpy):
    layer, twin = (drop_block(0.3, block_size=3, seed=11) for _ in range(2))
    x = np.full(map_shape(3), value, "float32")
    y = to_numpy(layer(x, training=True))
    assert (y == 0).any()
    np.testing.assert_array_equal(y[y != 0], value)
    slopes = gradient(lambda x: twin(x, training=True), x)
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_its_type_and_its_share(dtype, to_numpy):
    layer = drop_block(0.1, seed=12, dtype=dtype)
    y = layer(keras.ops.ones((256, 14, 14, 64), dtype), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    maps = (to_numpy(y) == 0).mean(axis=(1, 2))
    # Five standard errors; a share counted in half precision would stall.
    error = 5 * maps.std() / np.sqrt(maps.size)
    assert maps.mean() == pytest.approx(0.1, abs=error)
    # The scale is rounded to the nearest of 2^7 steps in bfloat16.
    assert to_numpy(y).mean() == pytest.approx(1, rel=2**-8)


def test_the_rate_rises_over_the_calls_in_training():
    layer = drop_block(0.4, warmup_steps=4, seed=13)
    expected = [0, 0.1, 0.2, 0.3, 0.4, 0.4]
    for rate in expected:
        layer(np.ones((2, 14, 14, 1), "float32"))  # inference does not count
        maps = dropped(layer, (256, 14, 14, 64)).mean(axis=(1, 2))
        # Five standard errors of the mean of 16,384 maps; none in the first.
        error = 5 * maps.std() / np.sqrt(maps.size)
        assert maps.mean() == pytest.approx(rate, abs=error)
    assert int(layer.training_calls) == 4


def test_a_saved_warmup_goes_on_where_it_stopped(tmp_path):
    x = keras.Input(map_shape(3)[1:])
    layer = drop_block(0.5, block_size=3, warmup_steps=9, name="drop")
    model = keras.Model(x, layer(x))
    for _ in range(5):
        model(np.ones(map_shape(3), "float32"), training=True)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert int(again.get_layer("drop").training_calls) == 5
    copy = keras.models.clone_model(model)
    assert int(copy.get_layer("drop").training_calls) == 0
    copy.load_weights(tmp_path / "model.weights.h5")
    assert int(copy.get_layer("drop").training_calls) == 5


def test_fit_counts_its_steps():
    layer = drop_block(0.5, block_size=3, warmup_steps=9)
    model = keras.Sequential(
        [keras.Input((6, 6, 2)), layer, keras.layers.Conv2D(1, 6)]
    )
    model.compile("sgd", "mse")
    x, y = np.ones((8, 6, 6, 2)), np.ones((8, 1, 1, 1))
    model.fit(x, y, batch_size=2, verbose=0)
    model.evaluate(x, y, batch_size=2, verbose=0)
    assert int(layer.training_calls) == 4


def test_a_layer_has_weights_for_its_warmup_alone():
    plain, warm = DropBlock2D(0.1), DropBlock2D(0.1, warmup_steps=3)
    for layer in (plain, warm):
        layer.build((None, 8, 8, 4))
    assert plain.weights == []
    assert warm.trainable_weights == []
    assert warm.count_params() == 1


def test_sizes_may_be_unknown_in_a_graph(to_numpy):
    layer = drop_block(0.3, seed=14)

    def train(x):
        return layer(x, training=True)

    # TensorFlow alone has graphs that know no sizes.
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        unknown = tf.TensorSpec([None] * 4, "float32")
        train = tf.function(train, input_signature=[unknown])
    for shape in ((256, 14, 14, 64), (2500, 4, 4, 8)):
        maps = (to_numpy(train(np.ones(shape, "float32"))) == 0).mean((1, 2))
        # Five standard errors of the mean of so many maps.
        error = 5 * maps.std() / np.sqrt(maps.size)
        assert maps.mean() == pytest.approx(0.3, abs=error)


@pytest.mark.torch
@pytest.mark.parametrize(("height", "width"), [(14, 14), (9, 16)])
def test_torchvision_drops_the_same_cells(height, width):
    import torch
    from torchvision.ops import drop_block2d

    geometry = height, width, 7
    places = (height - 6) * (width - 6)
    gamma = 0.3 * height * width / (49 * places)  # the paper's
    torch.manual_seed(0)
    ones = torch.ones(256, 32, height, width)
    theirs = (drop_block2d(ones, 0.3, 7) == 0).numpy()
    layer = DropBlock2D(
        chances(*geometry, gamma).mean(), data_format="channels_first", seed=15
    )
    ours = dropped(layer, ones.shape)
    expected = chances(*geometry, gamma)
    # The difference of two frequencies among 8,192 maps, six standard errors
    # of it for the worst of 196 cells.
    error = 6 * np.sqrt(2 * expected * (1 - expected) / 8192)
    difference = ours.mean(axis=(0, 1)) - theirs.mean(axis=(0, 1))
    assert (np.abs(difference) < error).all()


def test_an_input_is_a_batch_of_maps():
    with pytest.raises(ValueError, match="expected ndim=4"):
        DropBlock2D(0.1)(np.ones((2, 8, 8), "float32"))


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"rate": 1.0}, ValueError, r"`rate` must be in \[0, 1\).*rate=1.0"),
        ({"rate": -0.5}, ValueError, "`rate` must be in .*rate=-0.5"),
        ({"block_size": 0}, ValueError, "`block_size` must .*block_size=0"),
        ({"block_size": 2.5}, TypeError, "`block_size` must be an .*2.5"),
        ({"per": "batch"}, ValueError, "'channel' or 'sample'.*'batch'"),
        ({"warmup_steps": -1}, ValueError, "`warmup_steps` must .*=-1"),
        ({"warmup_steps": 1.5}, TypeError, "`warmup_steps` must .*=1.5"),
        ({"data_format": "NHWC"}, ValueError, "`data_format` must .*'NHWC'"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        DropBlock2D(**{"rate": 0.5, **arguments})
