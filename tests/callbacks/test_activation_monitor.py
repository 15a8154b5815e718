import keras
import numpy as np
import pytest

from dropzoo.callbacks import ActivationMonitor
from dropzoo.callbacks.activation_probe import SAMPLE, ActivationProbe

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 5)).astype("float32")


def dense(activation, bias, name="layer"):
    """A model of one layer whose units differ by their bias."""
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(len(bias), activation=activation, name=name),
        ]
    )
    kernel = RNG.normal(size=(5, len(bias)))
    model.set_weights([kernel, np.array(bias)])
    return model, X @ kernel + np.array(bias)


def measure(model, x=X):
    return ActivationProbe(model).measure(x)


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_a_unit_is_dead_that_is_zero_on_the_whole_batch(activation):
    model, before = dense(activation, [-99, 0, -99, 0, 99, 0, 0, 0.5])
    found = measure(model)["layer"]
    assert found["dead"] == np.mean((before <= 0).all(axis=0)) == 2 / 8
    assert "saturated" not in found


@pytest.mark.parametrize(
    ("activation", "function", "slope"),
    [
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), lambda y: 4 * y * (1 - y)),
        ("tanh", np.tanh, lambda y: 1 - y * y),
    ],
)
def test_a_value_is_saturated_where_the_slope_is_small(
    activation, function, slope
):
    model, before = dense(activation, [-3, -2, -1, 0, 1, 2, 3])
    found = measure(model)["layer"]
    expected = np.mean(slope(function(before)) < 0.1)
    assert 0.1 < expected < 0.9
    np.testing.assert_allclose(found["saturated"], expected, atol=1e-6)
    assert "dead" not in found


def test_a_channel_of_a_map_is_a_unit():
    images = RNG.normal(size=(4, 3, 3, 1)).astype("float32")
    conv = keras.layers.Conv2D(3, 1, name="conv")
    model = keras.Sequential(
        [keras.Input((3, 3, 1)), conv, keras.layers.ReLU(name="relu")]
    )
    conv.set_weights([np.ones((1, 1, 1, 3)), np.array([-99, 99, 0])])
    found = measure(model, images)
    assert list(found) == ["relu"]
    np.testing.assert_allclose(found["relu"]["dead"], 1 / 3, rtol=1e-6)


def test_layers_with_an_activation_are_measured_inner_ones_too():
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Activation("gelu", name="gelu")],
        name="inner",
    )
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(4, name="linear"),
            inner,
            layers.LeakyReLU(name="leaky"),
            layers.ReLU(negative_slope=0.1, name="leaking"),
            layers.Dense(3, activation="relu", name="hidden"),
            layers.Dense(2, activation="softmax", name="head"),
        ]
    )
    found = measure(model)
    assert set(found) == {"inner/gelu", "leaky", "leaking", "hidden"}
    assert {name for name, x in found.items() if "dead" in x} == {"hidden"}
    assert not any("call" in vars(layer) for layer in model.layers)


def test_a_sample_is_of_values_from_the_whole_batch():
    model, before = dense("relu", [0] * 4)
    values = np.maximum(before, 0).ravel()
    sample = measure(model)["layer"]["sample"]
    assert sample.shape == (SAMPLE,)
    places = np.arange(SAMPLE) * values.size // SAMPLE
    np.testing.assert_allclose(sample, values[places], rtol=1e-5, atol=1e-5)
    assert set(places) == set(range(values.size))


def test_every_channel_of_a_large_map_is_in_the_sample():
    shape = (8, 32, 32, 64)
    channels = np.broadcast_to(np.arange(64), shape).astype("float32")
    model = keras.Sequential([keras.Input(shape[1:]), keras.layers.ReLU()])
    (found,) = measure(model, channels).values()
    counts = np.bincount(found["sample"].astype(int), minlength=64)
    assert counts.min() > SAMPLE / 64 / 2


def trained(epochs=3, **options):
    model, _ = dense("relu", [0.0] * 4)
    model.compile("sgd", "mse")
    monitor = ActivationMonitor(X, 4, **options)
    before = model.get_weights()
    model.fit(
        X,
        np.zeros((16, 4)),
        batch_size=8,
        epochs=epochs,
        verbose=0,
        callbacks=[monitor],
    )
    return model, monitor, before


def test_the_first_measurement_is_of_the_weights_before_the_training():
    model, monitor, (kernel, bias) = trained()
    assert [record["step"] for record in monitor.history] == [0, 4]
    expected = np.maximum(X @ kernel + bias, 0)
    np.testing.assert_allclose(
        np.unique(monitor.first_samples["layer"]),
        np.unique(expected),
        atol=1e-5,
    )
    assert not np.array_equal(
        monitor.first_samples["layer"], monitor.last_samples["layer"]
    )


def test_a_model_without_activations_is_refused():
    model, _ = dense("softmax", [0.0] * 4)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must have an activation function"):
        model.fit(X, X[:, :4], verbose=0, callbacks=[ActivationMonitor(X)])


def test_what_is_not_finite_does_not_stop_the_drawing(tmp_path):
    model, monitor, _ = trained(1, log_directory=tmp_path / "logs")
    model.set_weights([np.full((5, 4), np.nan), np.zeros(4)])
    monitor.set_model(model)
    monitor.on_train_batch_begin(0)
    monitor._measure(1)
    monitor.draw(tmp_path / "nan.png")
    assert (tmp_path / "nan.png").stat().st_size > 1000
