"""What both averages promise: keeping, showing, applying, going on."""

import random
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
    random.seed(0)
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
    if not model.optimizer.built:  # or TensorFlow would trace the step twice
        model.optimizer.build(model.trainable_variables)
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)


def ema(**options):
    return ExponentialMovingAverage(0.8, **options)


def swa(**options):
    return StochasticWeightAveraging(1, batches=BATCHES, **options)


# What both do alike, one shows in the ordinary run.
EITHER = [ema, pytest.param(swa, marks=pytest.mark.slow(ci=True))]
either = pytest.mark.parametrize("make", EITHER)


class SavedAfter(keras.callbacks.Callback):
    """Keeps, after an epoch, what `ExactResume` would."""

    def __init__(self, average, epoch):
        super().__init__()
        self.average, self.epoch = average, epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.values = [read(v) for v in variables_of(self.model)]
            self.state = self.average.get_state()


def variables_of(model):
    return model.variables + model.optimizer.variables


def read(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def assert_same(found, expected):
    for value, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value, right)


def differ(found, expected):
    return any(
        not np.array_equal(a, b) for a, b in zip(found, expected, strict=True)
    )


@pytest.fixture(scope="module")
def plain():
    """What a training without averages is like."""
    noted = Noted()
    fit(build(), noted, validation_data=(X, Y))
    return noted


@pytest.fixture(scope="module", params=EITHER)
def validated(request):
    """A training whose validation sees the averages."""
    average = request.param(apply="validation")
    model, noted, saved = build(), Noted(), SavedAfter(average, 1)
    data = {"validation_data": (X, Y)}
    history = fit(model, average, noted, saved, **data).history
    return request.param, model, average, noted, saved, history


def test_the_training_itself_is_the_same_to_the_bit(plain, validated):
    _, _, _, noted, _, _ = validated
    for found, expected in zip(
        noted.after_batch + noted.after_epoch,
        plain.after_batch + plain.after_epoch,
        strict=True,
    ):
        assert_same(found, expected)


def test_validation_sees_the_averages_of_its_epoch_too(validated):
    _, model, average, noted, _, history = validated
    averaged = average.averaged_model()
    assert_same(noted.in_validation[-1], averaged.get_weights())
    assert differ(noted.in_validation[-1], noted.after_batch[-1])
    averaged.compile("sgd", model.loss)
    scores = averaged.evaluate(X, Y, batch_size=4, verbose=0)
    np.testing.assert_allclose(history["val_loss"][-1], scores, rtol=1e-5)


def test_the_model_ends_with_the_averages(validated):
    _, model, average, noted, _, _ = validated
    assert_same(model.get_weights(), average.averaged_model().get_weights())
    assert differ(model.get_weights(), noted.after_batch[-1])


def test_state_and_weights_go_on_to_the_bit(validated):
    make, expected, whole, _, saved, _ = validated
    model, average = build(), make(apply="validation")
    model.optimizer.build(model.trainable_variables)
    variables = variables_of(model)
    for variable, value in zip(variables, saved.values, strict=True):
        variable.assign(value)
    average.set_state(saved.state)
    fit(model, average, initial_epoch=2, validation_data=(X, Y))
    assert_same(model.get_weights(), expected.get_weights())
    assert average.num_averaged == whole.num_averaged


def test_a_state_is_made_of_numbers_and_arrays(validated):
    _, _, average, _, saved, _ = validated
    state = saved.state
    assert type(state["num_averaged"]) is type(state["updates"]) is int
    assert state["num_averaged"] < average.num_averaged
    assert {type(key) for key in state["averages"]} == {str}
    values = state["averages"].values()
    assert {type(value) for value in values} == {np.ndarray}
    assert {value.dtype.name for value in values} == {"float32"}


@either
def test_validation_sees_the_weights_where_only_the_end_is_averaged(make):
    noted, model, average = Noted(), build(), make(apply="end")
    fit(model, average, noted, validation_data=(X, Y))
    assert_same(noted.in_validation[-1], noted.after_batch[-1])
    assert_same(model.get_weights(), average.averaged_model().get_weights())
    assert differ(model.get_weights(), noted.after_batch[-1])


def test_the_model_is_left_alone_and_its_averages_shared_with_nobody():
    averages = [ema(apply="never"), swa(apply="never")]
    noted, model = Noted(), build()
    fit(model, noted, *averages)
    trained = model.get_weights()
    assert_same(trained, noted.after_batch[-1])
    states = [average.get_state() for average in averages]
    for average, state in zip(averages, states, strict=True):
        twin = average.averaged_model()
        averaged = twin.get_weights()
        assert differ(averaged, trained)
        for variable in twin.weights:
            variable.assign(np.zeros(variable.shape))
        assert_same(model.get_weights(), trained)
        assert_same(average.averaged_model().get_weights(), averaged)
        before = {k: v.copy() for k, v in state["averages"].items()}
        average._add(0.5)
        assert_same(state["averages"].values(), before.values())


def test_a_state_from_before_the_training_is_that_of_a_new_one(plain):
    average = ema(apply="never", warmup=False)
    average.set_state(ema().get_state())
    fit(build(), average, epochs=1)
    expected = plain.after_batch[0][0]
    for weights in plain.after_batch[1:4]:
        expected = 0.8 * expected + 0.2 * weights[0]
    found = average.get_state()["averages"]["0"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_frozen_layers_keep_their_weights_and_statistics():
    averages = [ema(apply="never"), swa(apply="never")]
    model = build()
    for layer in model.layers[:-1]:
        layer.trainable = False
    frozen = [layer.get_weights() for layer in model.layers[:-1]]
    fit(model, *averages, epochs=2)
    for average in averages:
        twin = average.averaged_model()
        for layer, weights in zip(twin.layers[:-1], frozen, strict=True):
            assert_same(layer.get_weights(), weights)
            assert not layer.trainable


@pytest.mark.slow(ci=True)
def test_a_layer_that_is_thawed_later_joins_with_its_frozen_weights():
    averages = [ema(apply="never"), swa(apply="never")]
    model, noted = build(), Noted()
    kernel = model.get_weights()[0]
    for trainable, epochs in [(False, (0, 3)), (True, (3, 4))]:
        model.layers[0].trainable = trainable
        model.compile(keras.optimizers.SGD(0.5), model.loss)
        options = {"initial_epoch": epochs[0], "epochs": epochs[1]}
        fit(model, *averages, noted, **options)
    smooth, mean = (x.averaged_model().get_weights()[0] for x in averages)
    thawed = noted.after_epoch[-1][0]
    np.testing.assert_allclose(mean, (2 * kernel + thawed) / 3, rtol=1e-5)
    expected = kernel
    for n, weights in enumerate(noted.after_batch[12:], start=12):
        decay = min(0.8, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * weights[0]
    np.testing.assert_allclose(smooth, expected, rtol=1e-5)


@pytest.mark.slow(ci=True)
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
    averages = [
        StochasticWeightAveraging(0, apply="never", batches=batches)
        for batches in (BATCHES, lambda: iter(BATCHES))
    ]
    fit(build(), *averages, epochs=1)
    one, other = (x.averaged_model().get_weights() for x in averages)
    assert_same(one, other)


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
