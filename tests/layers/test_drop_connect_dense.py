import keras
import numpy as np
import pytest
from scipy import stats

from dropzoo.layers import DropConnectDense

MANY = 20_000
X = np.array([0.5, -1, 2, 0.1, 1.5])
W = np.array([1, 0.5, -0.3, 2, 0.7])
B = 0.4

every_mask = pytest.mark.parametrize("masks", ["example", "batch", "gaussian"])
every_scale = pytest.mark.parametrize("scale", ["training", "inference"])


def twins(**options):
    """A layer of many units with equal weights: equal but for their masks."""
    layer = DropConnectDense(MANY, **{"seed": 1, **options})
    layer.build((None, len(X)))
    weights = [np.repeat(W[:, None], MANY, axis=1)]
    if layer.use_bias:
        weights.append(np.full(MANY, B, "float32"))
    layer.set_weights(weights)
    return layer


def small(x, units=3, **options):
    """A small layer with weights and biases far from zero."""
    layer = DropConnectDense(units, **{"seed": 1, **options})
    layer.build(x.shape)
    rng = np.random.default_rng(7)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def as_dense(layer, x):
    """What a plain Dense with the same weights and activation gives."""
    dense = keras.layers.Dense(layer.units, layer.activation)
    dense.build(x.shape)
    dense.set_weights(layer.get_weights())
    return keras.ops.convert_to_numpy(dense(x))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def theory(rate, scale, drop_bias):
    """Mean and variance of the pre-activation (Wan et al., section 4)."""
    keep = 1 - rate
    kept = 1 / keep if scale == "training" else 1
    mean = keep * kept * (W @ X)
    variance = keep * rate * kept**2 * (W**2 @ X**2)
    if drop_bias:
        variance += keep * rate * kept**2 * B**2
    return mean + (keep * kept * B if drop_bias else B), variance


@every_mask
@every_scale
@pytest.mark.parametrize(
    ("rate", "drop_bias"), [(0.5, True), (0.2, True), (0.5, False)]
)
def test_pre_activations_have_the_mean_and_variance_of_theory(
    masks, scale, rate, drop_bias
):
    options = {"rate": rate, "scale": scale, "drop_bias": drop_bias}
    layer = twins(masks=masks, **options)
    values = keras.ops.convert_to_numpy(layer(X[None], training=True))[0]
    values = values.astype("float64")
    mean, variance = theory(**options)
    # Five standard errors of the mean and of the variance of so many units.
    error = 5 * np.sqrt(variance / MANY)
    assert values.mean() == pytest.approx(mean, abs=error)
    fourth = ((values - values.mean()) ** 4).mean()
    error = 5 * np.sqrt((fourth - variance**2) / MANY)
    assert values.var() == pytest.approx(variance, abs=error)


@pytest.mark.parametrize(
    ("masks", "together"), [("example", 0), ("gaussian", 0), ("batch", 1)]
)
def test_examples_vary_together_only_where_they_share_a_mask(masks, together):
    layer = twins(masks=masks, drop_bias=False)
    first, second = X, X[::-1]
    values = keras.ops.convert_to_numpy(
        layer(np.stack([first, second]), training=True)
    )
    covariance = np.cov(values)[0, 1]
    # At rate 0.5 with scaling the spread is p (1 - p) / p^2 = 1.
    expected = together * np.sum(W**2 * first * second)
    # Five standard errors, the deviation of a product being at most that of
    # normal variables of these variances and this covariance.
    sizes = np.prod([np.sum(W**2 * x**2) for x in (first, second)])
    error = 5 * np.sqrt((sizes + expected**2) / MANY)
    assert covariance == pytest.approx(expected, abs=error)


def test_gaussian_noise_is_normal_and_that_of_masks_is_not():
    def deviations(masks):
        values = twins(masks=masks)(X[None], training=True)
        mean, variance = theory(0.5, "training", True)
        return (keras.ops.convert_to_numpy(values)[0] - mean) / variance**0.5

    assert stats.kstest(deviations("gaussian"), "norm").pvalue > 1e-6
    # Six connections have 64 masks.
    assert len(np.unique(deviations("example").round(4))) <= 64
    assert stats.kstest(deviations("example"), "norm").pvalue < 1e-6


@every_mask
def test_rate_zero_is_dense(masks, to_numpy):
    x = normal(6, 4)
    layer = small(x, masks=masks, rate=0, activation="tanh")
    for training in (True, False):
        output = to_numpy(layer(x, training=training))
        np.testing.assert_array_equal(output, as_dense(layer, x))


@every_mask
def test_inference_is_dense_where_training_is_scaled(masks, to_numpy):
    x = normal(6, 4)
    layer = small(x, masks=masks, activation="relu")
    np.testing.assert_array_equal(to_numpy(layer(x)), as_dense(layer, x))


@pytest.mark.parametrize("drop_bias", [True, False])
def test_inference_multiplies_where_training_does_not(drop_bias, to_numpy):
    x = normal(6, 4)
    layer = small(x, rate=0.3, scale="inference", drop_bias=drop_bias)
    kernel, bias = layer.get_weights()
    expected = 0.7 * (x @ kernel) + (0.7 if drop_bias else 1) * bias
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=1e-5)


@every_scale
def test_gaussian_inference_of_relu_is_the_closed_form(scale, to_numpy):
    layer = twins(
        scale=scale, rate=0.3, inference="gaussian", activation="relu"
    )
    mean, variance = theory(0.3, scale, True)
    z = mean / variance**0.5
    expected = mean * stats.norm.cdf(z) + variance**0.5 * stats.norm.pdf(z)
    output = to_numpy(layer(X[None]))
    np.testing.assert_allclose(output, expected, rtol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_gaussian_inference_is_the_mean_of_gaussian_training(
    activation, to_numpy
):
    layer = twins(
        masks="gaussian",
        inference="gaussian",
        activation=activation,
        num_samples=300,
    )
    trained = to_numpy(layer(X[None], training=True))[0].astype("float64")
    inferred = to_numpy(layer(X[None]))[0].astype("float64")
    # Five standard errors of the mean over units; that of inference is smaller.
    error = 5 * trained.std() / np.sqrt(MANY)
    assert inferred.mean() == pytest.approx(trained.mean(), abs=error)


def test_gaussian_inference_of_relu_averages_the_masks_of_many_inputs(to_numpy):
    x, many = normal(1, 200), 4000
    options = {"units": many, "activation": "relu", "use_bias": False}
    layer = DropConnectDense(**options, inference="gaussian", seed=1)
    layer.build(x.shape)
    layer.set_weights([np.repeat(normal(200, 1, seed=1) / 14, many, axis=1)])
    trained = to_numpy(layer(x, training=True))[0].astype("float64")
    # Five standard errors, and the distance of 200 coin tosses from normal.
    error = 5 * trained.std() / np.sqrt(many)
    assert to_numpy(layer(x))[0, 0] == pytest.approx(
        trained.mean(), abs=error + trained.std() / 200
    )


def test_positions_of_an_example_share_its_mask_but_not_its_noise(to_numpy):
    x = np.repeat(normal(4, 1, 6), 3, axis=1)
    masked = to_numpy(small(x, masks="example")(x, training=True))
    np.testing.assert_allclose(masked, masked[:, :1].repeat(3, 1), rtol=1e-5)
    assert masked.shape == (4, 3, 3)
    noisy = to_numpy(small(x, masks="gaussian")(x, training=True))
    assert (noisy[:, 0] != noisy[:, 1]).all()


def test_examples_have_masks_of_their_own_and_a_batch_has_one(to_numpy):
    x = np.repeat(normal(1, 6), 16, axis=0)
    shared = to_numpy(small(x, masks="batch")(x, training=True))
    np.testing.assert_allclose(shared, shared[:1].repeat(16, 0), rtol=1e-5)
    own = to_numpy(small(x, masks="example")(x, training=True))
    assert len(np.unique(own.round(5), axis=0)) == 16


@every_mask
def test_biases_are_dropped_by_default(masks, to_numpy):
    x = np.zeros((64, 2), "float32")
    values = to_numpy(small(x, units=50, masks=masks)(x, training=True))
    bias = small(x, units=50).get_weights()[1]
    if masks == "gaussian":
        assert (values != bias).all()
    else:
        dropped = values == 0
        assert 0.2 < dropped[0].mean() < 0.8
        expected = np.where(dropped, 0, 2 * bias)
        np.testing.assert_allclose(values, expected, rtol=1e-6)
    kept = small(x, units=50, masks=masks, drop_bias=False)
    np.testing.assert_array_equal(
        to_numpy(kept(x, training=True)), bias[None].repeat(64, axis=0)
    )


@every_mask
def test_gradients_are_finite_where_nothing_varies(masks, gradient):
    x = np.zeros((3, 4), "float32")
    layer = DropConnectDense(5, masks=masks, seed=1)
    layer.build(x.shape)
    slopes = gradient(lambda x: layer(x, training=True), x)
    assert np.isfinite(slopes).all()


def test_large_activations_do_not_overflow_in_half_precision(to_numpy):
    # 300 squared is beyond float16.
    x = np.full((500, 16), 300, "float16")
    layer = DropConnectDense(
        4, masks="gaussian", kernel_initializer="ones", dtype="mixed_float16"
    )
    values = to_numpy(layer(x, training=True)).astype("float64")
    # Five standard errors of 2000 draws of deviation sqrt(16) 300.
    error = 5 * 1200 / np.sqrt(2000)
    assert values.mean() == pytest.approx(4800, abs=error)
    assert values.std() == pytest.approx(1200, abs=error)


@every_mask
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_example_harms_no_other(masks, bad, to_numpy):
    x = normal(5, 4)
    good = to_numpy(small(x, masks=masks)(x, training=True))
    x[2, 1] = bad
    harmed = to_numpy(small(x, masks=masks)(x, training=True))
    others = np.arange(5) != 2
    np.testing.assert_array_equal(harmed[others], good[others])
    assert not np.isfinite(harmed[2]).all()


@pytest.mark.slow(ci=True)
def test_a_network_learns_through_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 8)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype("int32")
    model = keras.Sequential(
        [
            keras.Input((8,)),
            DropConnectDense(64, "relu", rate=0.1, seed=1),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.02),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(x, y, batch_size=64, epochs=15, verbose=0, shuffle=False)
    # No linear classifier gets beyond chance, 0.5, on such labels.
    assert model.evaluate(x, y, verbose=0)[1] > 0.8


def test_it_is_a_dense_layer_to_others(to_numpy):
    x = np.ones((1, 400), "float32")
    layer = small(x, use_bias=False)
    assert isinstance(layer, keras.layers.Dense)
    layer.enable_lora(1)
    layer.lora_kernel_b.assign(np.ones((1, 3)))
    adapted = to_numpy(layer.lora_kernel_a) + to_numpy(layer.get_weights()[0])
    values = to_numpy(layer(x, training=True))
    # Half of the adapted connections are kept, and doubled.
    error = 5 * np.sqrt(np.square(adapted).sum(axis=0))
    assert (abs(values[0] - adapted.sum(axis=0)) < error).all()
    assert (values != adapted.sum(axis=0)).all()


def test_quantizing_is_refused():
    layer = DropConnectDense(3, name="drops")
    layer.build((None, 4))
    with pytest.raises(NotImplementedError, match="`quantize`.*'int8'; copy"):
        layer.quantize("int8")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rate": 1.0}, r"DropConnectDense: `rate` must be in \[0, 1\).*1.0"),
        ({"masks": "unit"}, "`masks` must be 'example', 'batch' or .*'unit'"),
        ({"scale": "never"}, "`scale` must be 'training' or .*'never'"),
        ({"inference": "mode"}, "`inference` must be 'mean' or .*'mode'"),
        ({"num_samples": 0}, "`num_samples` must be an integer .*=0"),
        ({"units": 0}, "units=0"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        DropConnectDense(**{"units": 3, **arguments})


def test_a_number_of_samples_of_the_wrong_kind_is_refused():
    with pytest.raises(TypeError, match="`num_samples` must be.*2.5"):
        DropConnectDense(3, num_samples=2.5)
