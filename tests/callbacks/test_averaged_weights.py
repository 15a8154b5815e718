"""What both averages promise: keeping, showing, applying, going on."""

import warnings

import keras
import numpy as np
import pytest

from dropzoo.callbacks import (
    ExponentialMovingAverage,
    StochasticWeightAveraging,
)

STEPS = 4  # in an epoch
RNG = np.random.default_rng(0)
X = RNG.normal(size=(STEPS * 4, 3)).astype("float32")
Y = np.arange(STEPS * 4) % 2
BATCHES = [(X[:8], Y[:8]), (X[8:], Y[8:])]


class Noted(keras.callbacks.Callback):
    """Notes what the model holds where others look at it."""

    def __init__(self):
        super().__init__()
        self.after_batch = []
        self.in_validation = []
        self.after_epoch = []

    def on_train_batch_end(self, batch, logs=None):
        self.after_batch.append(self.model.get_weights())

    def on_test_batch_end(self, batch, logs=None):
        self.in_validation.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.after_epoch.append(self.model.get_weights())


def build(*, dtype=None, rate=0.5, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dropout(0.3, seed=1),
            keras.layers.Dense(2, name="head"),
        ]
    )
    if dtype:
        for layer in model.layers:
            layer.dtype_policy = dtype
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )
    return model


def fit(model, *callbacks, epochs=3, **options):
    options = {"batch_size": 4, "shuffle": False, "verbose": 0, **options}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)


def ema(**options):
    return ExponentialMovingAverage(0.8, **options)


def swa(**options):
    return StochasticWeightAveraging(1, batches=BATCHES, **options)


either = pytest.mark.parametrize("make", [ema, swa])


def assert_same(found, expected):
    for value, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value, right)


def differ(found, expected):
    return any(
        not np.array_equal(a, b) for a, b in zip(found, expected, strict=True)
    )


@either
def test_the_training_itself_is_the_same_to_the_bit(make):
    plain, with_average = Noted(), Noted()
    fit(build(), plain, validation_data=(X, Y))
    average = make(apply="validation")
    fit(build(), with_average, average, validation_data=(X, Y))
    for found, expected in zip(
        with_average.after_batch + with_average.after_epoch,
        plain.after_batch + plain.after_epoch,
        strict=True,
    ):
        assert_same(found, expected)


@either
def test_validation_sees_the_averages_only_if_asked_to(make):
    for apply, sees in [("end", False), ("validation", True)]:
        noted = Noted()
        fit(build(), make(apply=apply), noted, validation_data=(X, Y))
        assert differ(noted.in_validation[-1], noted.after_batch[-1]) == sees


@either
def test_the_scores_of_validation_are_those_of_the_averages(make):
    model = build()
    average = make(apply="validation")
    history = fit(model, average, validation_data=(X, Y)).history
    found = model.evaluate(X, Y, verbose=0)  # holds them since the end
    np.testing.assert_allclose(history["val_loss"][-1], found, rtol=1e-5)


@either
def test_the_model_ends_with_the_averages_only_if_asked_to(make):
    for apply, ends in [("end", True), ("never", False)]:
        noted, model, average = Noted(), build(), make(apply=apply)
        fit(model, average, noted)
        averaged = average.averaged_model().get_weights()
        expected = averaged if ends else noted.after_batch[-1]
        assert_same(model.get_weights(), expected)
        assert differ(averaged, noted.after_batch[-1])


@either
def test_the_averaged_model_shares_nothing_with_the_trained_one(make):
    model, average = build(), make(apply="never")
    fit(model, average)
    before = model.get_weights()
    twin = average.averaged_model()
    for variable in twin.weights:
        variable.assign(keras.ops.zeros_like(variable))
    assert_same(model.get_weights(), before)
    assert differ(average.averaged_model().get_weights(), twin.get_weights())


@either
def test_state_and_weights_go_on_to_the_bit(make):
    """As `ExactResume` does it: state, weights and counters come back."""
    whole, expected = make(apply="validation"), build()
    fit(expected, whole, epochs=4, validation_data=(X, Y))

    first, model = make(apply="validation"), build()
    saved = {}

    class Save(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                variables = (
                    self.model.variables + self.model.optimizer.variables
                )
                saved["variables"] = [
                    np.array(keras.ops.convert_to_numpy(v)) for v in variables
                ]
                saved["state"] = first.get_state()

    fit(model, first, Save(), validation_data=(X, Y))
    model, second = build(), make(apply="validation")
    model.optimizer.build(model.trainable_variables)
    variables = model.variables + model.optimizer.variables
    for variable, value in zip(variables, saved["variables"], strict=True):
        variable.assign(value)
    second.set_state(saved["state"])
    fit(model, second, epochs=4, initial_epoch=2, validation_data=(X, Y))
    assert_same(model.get_weights(), expected.get_weights())
    assert second.num_averaged == whole.num_averaged


@either
def test_a_state_is_made_of_numbers_and_arrays(make):
    average = make()
    fit(build(), average)
    state = average.get_state()
    assert type(state["num_averaged"]) is int
    averages = state["averages"]
    assert averages
    assert {type(key) for key in averages} == {str}
    assert {(type(x), x.dtype.name) for x in averages.values()} == {
        (np.ndarray, "float32")
    }


@either
def test_a_state_is_not_changed_by_what_follows(make):
    model, average = build(), make(apply="never")
    fit(model, average)
    state = average.get_state()
    before = {key: value.copy() for key, value in state["averages"].items()}
    fit(model, average)
    assert_same(state["averages"].values(), before.values())
    assert differ(average.get_state()["averages"].values(), before.values())


@either
def test_a_state_from_before_the_training_is_that_of_a_new_one(make):
    average, model = make(), build()
    average.set_state(make().get_state())
    fit(model, average)
    expected = build()
    fit(expected, make())
    assert_same(model.get_weights(), expected.get_weights())


@either
def test_frozen_layers_keep_their_weights_and_statistics(make):
    model, average = build(), make()
    for layer in model.layers[:-1]:
        layer.trainable = False
    fit(model)  # compiled before: so the first layers move
    before = [layer.get_weights() for layer in model.layers[:-1]]
    model.compile("sgd", model.loss)
    fit(model, average)
    for layer, weights in zip(model.layers[:-1], before, strict=True):
        assert_same(layer.get_weights(), weights)


@either
def test_a_layer_that_is_thawed_later_joins_with_its_frozen_weights(make):
    model, average = build(), make(apply="never")
    first = model.layers[0]
    kernels = [first.get_weights()[0]]

    class Note(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernels.append(self.model.layers[0].get_weights()[0])

    first.trainable = False
    model.compile(keras.optimizers.SGD(0.5), model.loss)
    fit(model, average)
    first.trainable = True
    model.compile(keras.optimizers.SGD(0.5), model.loss)
    fit(model, average, Note(), epochs=5, initial_epoch=4)
    found = average.averaged_model().layers[0].get_weights()[0]
    assert differ([found], kernels[:1])
    if make is swa:  # epochs 1, 2 frozen, 4 thawed
        expected = (2 * kernels[0] + kernels[1]) / 3
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_averages_of_half_precision_weights_are_float32():
    keras.config.set_dtype_policy("bfloat16")
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy("float32")
    noted, average = Noted(), ema(apply="never", warmup=False)
    fit(model, noted, average)
    kernels = [np.float32(weights[0]) for weights in noted.after_batch]
    expected = kernels[0]
    for kernel in kernels[1:]:
        expected = 0.8 * expected + 0.2 * kernel
    found = average.get_state()["averages"]["0"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert average.averaged_model().weights[0].dtype == "bfloat16"


def test_the_averages_go_with_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy("float32")
    fit(model, ema(apply="validation"), validation_data=(X, Y))
    assert model.weights[0].dtype == "float32"
    assert np.isfinite(model.get_weights()[0]).all()


def test_batches_may_be_a_function():
    found, expected = build(), build()
    fit(found, StochasticWeightAveraging(1, batches=lambda: iter(BATCHES)))
    fit(expected, swa())
    assert_same(found.get_weights(), expected.get_weights())


def test_a_validation_that_broke_off_leaves_the_training_unharmed():
    class Stop(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            raise InterruptedError

    model, average, noted = build(), ema(), Noted()
    with pytest.raises(InterruptedError):
        fit(model, average, noted, Stop(), validation_data=(X, Y))
    assert differ(model.get_weights(), noted.after_batch[-1])
    average.on_train_begin()
    assert_same(model.get_weights(), noted.after_batch[-1])


def test_nothing_averaged_is_said_at_the_end():
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    model, noted, average = build(), Noted(), swa()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(model, noted, Stop(), average)
    text = "before any weights were averaged"
    assert any(text in str(warning.message) for warning in caught)
    assert_same(model.get_weights(), noted.after_batch[-1])
    with pytest.raises(ValueError, match="no weights are averaged yet"):
        average.averaged_model()


@either
def test_another_way_to_apply_is_refused(make):
    with pytest.raises(ValueError, match="`apply` must be .*apply='epoch'"):
        make(apply="epoch")
