import random

import keras
import numpy as np
import pytest

from dropzoo.callbacks import UpdateRatioMonitor

STEPS = 6  # in an epoch
X = np.random.default_rng(0).normal(size=(STEPS * 2, 3)).astype("float32")
Y = np.arange(STEPS * 2) % 2


class Noted(keras.callbacks.Callback):
    """Notes the weights before the first and after each batch."""

    def on_train_begin(self, logs=None):
        self.weights = [self.model.get_weights()]

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.model.get_weights())

    def ratios(self, batch):
        """Of two dense layers, computed as defined."""
        before, after = self.weights[batch - 1 : batch + 1]
        moved = [np.float64(a) - b for a, b in zip(after, before, strict=True)]
        return [
            float(norm(moved[i : i + 2]) / norm(before[i : i + 2]))
            for i in (0, 2)
        ]


def norm(arrays):
    return np.sqrt(sum(np.sum(np.float64(x) ** 2) for x in arrays))


def build(optimizer=None, **options):
    random.seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh", name="first"),
            keras.layers.Dense(2, name="last"),
        ]
    )
    model.compile(
        optimizer or keras.optimizers.AdamW(0.1, weight_decay=0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )
    return model


def fit(model, *callbacks, epochs=2, **options):
    options = {"batch_size": 2, "shuffle": False, "verbose": 0, **options}
    if not model.optimizer.built:  # or TensorFlow would trace the step twice
        model.optimizer.build(model.trainable_variables)
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)


def assert_ratios(monitor, noted, batches):
    assert len(monitor.history) == len(batches)
    for record, batch in zip(monitor.history, batches, strict=True):
        found = record["update_ratio"]
        assert list(found) == ["first", "last"]
        expected = noted.ratios(batch)
        assert min(expected) > 0
        np.testing.assert_allclose(list(found.values()), expected, rtol=1e-4)


def test_ratios_are_those_of_the_weights_before_and_after_a_step():
    monitor, noted = UpdateRatioMonitor(5), Noted()
    fit(build(), noted, monitor)
    assert_ratios(monitor, noted, [1, 6, 11])
    assert [record["step"] for record in monitor.history] == [1, 6, 11]


def test_plain_gradient_descent_has_the_ratio_of_its_gradient():
    monitor, model = UpdateRatioMonitor(), build(keras.optimizers.SGD(0.25))
    x, y = X[:2], Y[:2]
    kernel, bias, last, last_bias = model.get_weights()
    hidden = np.tanh(x @ kernel + bias)
    powers = np.exp(hidden @ last + last_bias)
    error = powers / powers.sum(axis=1, keepdims=True) - np.eye(2)[y]
    gradient = [hidden.T @ error / 2, error.mean(axis=0)]
    expected = 0.25 * norm(gradient) / norm([last, last_bias])
    fit(model, monitor, epochs=1)
    found = monitor.history[0]["update_ratio"]["last"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_batch_held_back_is_waited_for():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=4)
    monitor, noted = UpdateRatioMonitor(2), Noted()
    fit(build(optimizer), noted, monitor)
    assert_ratios(monitor, noted, [4, 8, 12])
    assert [record["step"] for record in monitor.history] == [1, 2, 3]


def test_a_step_that_loss_scaling_skips_is_waited_for():
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.05), initial_scale=2.0**127
    )
    monitor, noted = UpdateRatioMonitor(100), Noted()
    fit(build(optimizer, loss_weights=16.0), noted, monitor)
    first = next(
        number
        for number, weights in enumerate(noted.weights)
        if not np.array_equal(weights[0], noted.weights[0][0])
    )
    assert first > 1
    assert_ratios(monitor, noted, [first])
    assert monitor.history[0]["step"] == 1


def test_waiting_goes_on_after_a_stop():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=4)
    model, first, noted = build(optimizer), UpdateRatioMonitor(), Noted()
    fit(model, first, epochs=1, steps_per_epoch=2)
    assert first.history == []
    second = UpdateRatioMonitor()
    second.set_state(first.get_state())
    fit(model, second, noted, epochs=1)
    assert_ratios(second, noted, [2])


def test_frozen_layers_and_those_of_zeros_are_left_out():
    model, monitor = build(), UpdateRatioMonitor()
    model.layers[0].trainable = False
    model.layers[1].set_weights([np.zeros((4, 2)), np.zeros(2)])
    model.compile("sgd", model.loss)
    fit(model, monitor, epochs=1)
    assert monitor.history == [{"step": 1, "update_ratio": {}}]


@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="Keras executes single steps on PyTorch",
)
def test_several_updates_in_one_execution_are_refused():
    model = build(steps_per_execution=2)
    with pytest.raises(ValueError, match="2 updates in one execution"):
        fit(model, UpdateRatioMonitor())
