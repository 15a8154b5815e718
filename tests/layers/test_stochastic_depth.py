import inspect

import keras
import numpy as np
import pytest

from dropzoo.layers import StochasticDepth

SAMPLES = 20_000


def draw(layer, count=SAMPLES, dtype="float32"):
    """What becomes of so many ones, each a sample of its own."""
    ones = keras.ops.ones((count, 1), dtype)
    return keras.ops.convert_to_numpy(layer(ones, training=True))[:, 0]


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("scale", ["training", "inference"])
def test_mean_and_variance_are_those_of_a_scaled_bernoulli_draw(rate, scale):
    values = draw(StochasticDepth(rate, scale=scale, seed=1)).astype("float64")
    keep = 1 - rate
    height = 1 / keep if scale == "training" else 1
    assert set(np.unique(values)) == {0, np.float32(height)}
    # Five standard errors of the mean of so many draws; the variance follows
    # from the share that is kept.
    error = 5 * height * np.sqrt(keep * rate / SAMPLES)
    assert values.mean() == pytest.approx(keep * height, abs=error)
    variance = height**2 * keep * rate
    assert values.var() == pytest.approx(variance, abs=2 * height * error)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("scale", ["training", "inference"])
def test_rate_zero_is_identity(training, scale):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    layer = StochasticDepth(0, scale=scale)
    np.testing.assert_array_equal(layer(x, training=training), x)


@pytest.mark.parametrize(
    ("scale", "factor"), [("training", 1), ("inference", 0.7)]
)
def test_inference_scales_only_where_training_does_not(scale, factor):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    layer = StochasticDepth(0.3, scale=scale)
    expected = x * np.float32(factor)
    np.testing.assert_allclose(layer(x, training=False), expected, rtol=1e-6)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(64,), (64, 3), (64, 4, 5, 2)])
def test_a_sample_is_dropped_as_a_whole(shape):
    layer = StochasticDepth(0.5, seed=2)
    y = np.asarray(layer(np.ones(shape, "float32"), training=True))
    assert y.shape == shape
    kept = y.reshape(64, -1)
    assert (kept == kept[:, :1]).all()
    assert set(np.unique(y)) == {0, 2}


def test_a_batch_is_dropped_as_a_whole():
    layer = StochasticDepth(0.5, per="batch", seed=2)
    ones = np.ones((8, 3), "float32")
    batches = [np.asarray(layer(ones, training=True)) for _ in range(400)]
    assert all(len(np.unique(batch)) == 1 for batch in batches)
    # Five standard errors of 400 fair draws.
    dropped = np.mean([batch[0, 0] == 0 for batch in batches])
    assert dropped == pytest.approx(0.5, abs=5 * np.sqrt(0.25 / 400))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_its_type_and_its_share(dtype):
    layer = StochasticDepth(0.001, seed=3, dtype=dtype)
    output = layer(keras.ops.ones((SAMPLES, 1), dtype), training=True)
    assert keras.backend.standardize_dtype(output.dtype) == dtype
    # bfloat16 cannot tell 0.999 from 1: drawn in it, nothing would drop.
    dropped = (draw(layer, dtype=dtype) == 0).mean()
    error = 5 * np.sqrt(0.001 * 0.999 / SAMPLES)
    assert dropped == pytest.approx(0.001, abs=error)
    assert dropped > 0


def test_mixed_precision_computes_in_half():
    layer = StochasticDepth(0.5, dtype="mixed_float16")
    assert layer(np.ones((2, 3), "float32"), training=True).dtype == "float16"


def test_equal_seeds_draw_the_same_and_others_do_not():
    first = draw(StochasticDepth(0.5, seed=4), 64)
    np.testing.assert_array_equal(first, draw(StochasticDepth(0.5, seed=4), 64))
    assert (first != draw(StochasticDepth(0.5, seed=5), 64)).any()
    assert (
        draw(StochasticDepth(0.5), 64) != draw(StochasticDepth(0.5), 64)
    ).any()


def test_each_call_draws_anew():
    layer = StochasticDepth(0.5, seed=4)
    assert (draw(layer, 64) != draw(layer, 64)).any()


def test_gradients_flow_through_what_is_kept_alone():
    import tensorflow as tf

    layer = StochasticDepth(0.5, seed=1)
    x = tf.Variable(np.ones((64, 2), "float32"))
    with tf.GradientTape() as tape:
        y = layer(x, training=True)
    np.testing.assert_array_equal(tape.gradient(y, x), y)


def test_symbolic_and_real_shapes_agree():
    symbolic = StochasticDepth(0.5)(keras.Input((4, 5, 2)))
    assert symbolic.shape == (None, 4, 5, 2)
    real = StochasticDepth(0.5)(np.ones((3, 4, 5, 2)), training=True)
    assert real.shape == (3, 4, 5, 2)


def test_a_saved_model_comes_back(tmp_path):
    x = keras.Input((3,))
    y = keras.layers.Dense(3)(x)
    layer = StochasticDepth(
        0.25, per="batch", scale="inference", seed=6, name="drop"
    )
    model = keras.Model(x, layer(y))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_layer("drop").get_config() == layer.get_config()
    values = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    np.testing.assert_array_equal(again(values), model(values))


def test_config_is_equal_before_and_after_build():
    layer = StochasticDepth(0.25, per="batch", seed=6)
    before = layer.get_config()
    layer(np.ones((2, 3), "float32"))
    assert layer.get_config() == before


def test_config_holds_every_argument():
    own = set(inspect.signature(StochasticDepth.__init__).parameters)
    config = StochasticDepth(0.25).get_config()
    assert own - {"self", "kwargs"} <= set(config)
    assert StochasticDepth(**config).get_config() == config


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rate": 1.0}, r"`rate` must be in \[0, 1\). Received: rate=1.0"),
        ({"rate": -0.5}, "`rate` must be in .*rate=-0.5"),
        ({"per": "pixel"}, "`per` must be 'sample' or 'batch'.*'pixel'"),
        ({"scale": "never"}, "`scale` must be 'training' or .*'never'"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        StochasticDepth(**{"rate": 0.5, **arguments})
