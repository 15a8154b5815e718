import keras
import numpy as np
import pytest

from dropzoo.layers import StochasticDepth

SAMPLES = 20_000


def draw(layer, count=SAMPLES, dtype="float32"):
    """What becomes of so many ones, each a sample of its own."""
    ones = keras.ops.ones((count, 1), dtype)
    y = keras.ops.cast(layer(ones, training=True), "float32")
    return keras.ops.convert_to_numpy(y)[:, 0]


@pytest.fixture
def photos():
    return np.random.default_rng(0).normal(size=(6, 4, 5, 2)).astype("float32")


@pytest.fixture
def draws_are(monkeypatch):
    """Makes the layer draw these numbers, of the shape that it asks for."""

    def replace(draws):
        def uniform(shape, **_):
            assert tuple(shape) == draws.shape
            return keras.ops.convert_to_tensor(draws.astype("float32"))

        monkeypatch.setattr(keras.random, "uniform", uniform)

    return replace


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("scale", ["training", "inference"])
def test_mean_and_variance_are_those_of_a_scaled_bernoulli_draw(rate, scale):
    values = draw(StochasticDepth(rate, scale=scale, seed=1)).astype("float64")
    keep = 1 - rate
    height = 1 / keep if scale == "training" else 1
    low, high = np.unique(values)
    assert low == 0
    assert high == pytest.approx(height, rel=1e-6)
    # Five standard errors of the mean of so many draws; the variance follows
    # from the share that is kept.
    error = 5 * height * np.sqrt(keep * rate / SAMPLES)
    assert values.mean() == pytest.approx(keep * height, abs=error)
    variance = height**2 * keep * rate
    assert values.var() == pytest.approx(variance, abs=2 * height * error)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("scale", ["training", "inference"])
def test_rate_zero_is_identity(training, scale, photos, to_numpy):
    layer = StochasticDepth(0, scale=scale)
    y = to_numpy(layer(photos, training=training))
    np.testing.assert_array_equal(y, photos)


@pytest.mark.parametrize(
    ("scale", "factor"), [("training", 1), ("inference", 0.7)]
)
def test_inference_scales_only_where_training_does_not(
    scale, factor, photos, to_numpy
):
    layer = StochasticDepth(0.3, scale=scale)
    expected = photos * np.float32(factor)
    y = to_numpy(layer(photos, training=False))
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(layer(photos)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("per", "shape"), [("sample", (6, 1, 1, 1)), ("batch", (1, 1, 1, 1))]
)
def test_training_is_the_formula_of_torchvision(
    per, shape, photos, draws_are, to_numpy
):
    draws = np.random.default_rng(3).uniform(size=shape)
    draws_are(draws)
    # torchvision: `noise.bernoulli_(survival_rate).div_(survival_rate)`, one
    # for each row or for the batch, times the input.
    noise = (draws < 0.6) / 0.6
    y = to_numpy(StochasticDepth(0.4, per=per)(photos, training=True))
    np.testing.assert_allclose(y, photos * noise, rtol=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize(("per", "mode"), [("sample", "row"), ("batch",) * 2])
@pytest.mark.parametrize("seed", range(4))
def test_training_is_what_torchvision_returns(
    per, mode, seed, photos, draws_are, to_numpy
):
    import torch
    from torchvision.ops import stochastic_depth

    def by_torchvision(x):
        torch.manual_seed(seed)
        return stochastic_depth(torch.from_numpy(x), 0.4, mode).numpy()

    kept = by_torchvision(np.ones_like(photos))[:, :1, :1, :1] > 0
    draws_are(np.where(kept, 0.0, 1.0)[: 6 if per == "sample" else 1])
    y = to_numpy(StochasticDepth(0.4, per=per)(photos, training=True))
    np.testing.assert_allclose(y, by_torchvision(photos), rtol=1e-6)


@pytest.mark.parametrize("shape", [(64,), (64, 3), (64, 4, 5, 2)])
def test_a_sample_is_dropped_as_a_whole(shape, to_numpy):
    layer = StochasticDepth(0.5, seed=2)
    y = to_numpy(layer(np.ones(shape, "float32"), training=True))
    assert y.shape == shape
    kept = y.reshape(64, -1)
    assert (kept == kept[:, :1]).all()
    assert set(np.unique(y)) == {0, 2}


def test_a_batch_is_dropped_as_a_whole(to_numpy):
    layer = StochasticDepth(0.5, per="batch", seed=2)
    ones = np.ones((8, 3), "float32")
    batches = [to_numpy(layer(ones, training=True)) for _ in range(400)]
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


def test_the_draw_is_fine_where_floats_are_coarse_by_default():
    before = keras.config.floatx()
    keras.config.set_floatx("bfloat16")
    try:
        dropped = (draw(StochasticDepth(0.001, seed=3)) == 0).mean()
    finally:
        keras.config.set_floatx(before)
    assert 0 < dropped < 0.002


def test_gradients_flow_through_what_is_kept_alone(gradient, to_numpy):
    ones = np.ones((64, 2), "float32")
    layers = (StochasticDepth(0.5, seed=1) for _ in range(2))
    first, second = (lambda x, d=d: d(x, training=True) for d in layers)
    kept = to_numpy(first(ones))
    assert set(np.unique(kept)) == {0, 2}
    np.testing.assert_array_equal(gradient(second, ones), kept)


def test_what_is_not_finite_is_not_hidden(draws_are, to_numpy):
    draws_are(np.array([[0.0], [1.0]]))
    x = np.full((2, 3), np.inf, "float32")
    y = to_numpy(StochasticDepth(0.5)(x, training=True))
    assert np.isposinf(y[0]).all()
    assert np.isnan(y[1]).all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rate": 1.0}, r"`rate` must be in \[0, 1\). Received: rate=1.0"),
        ({"rate": -0.5}, "`rate` must be in .*rate=-0.5"),
        ({"rate": float("nan")}, "`rate` must be in .*rate=nan"),
        ({"per": "pixel"}, "`per` must be 'sample' or 'batch'.*'pixel'"),
        ({"scale": "never"}, "`scale` must be 'training' or .*'never'"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        StochasticDepth(**{"rate": 0.5, **arguments})
