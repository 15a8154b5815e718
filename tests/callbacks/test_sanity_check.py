"""What is wrong is said before training, and nothing is moved by looking."""

import random

import keras
import numpy as np
import pytest

from dropzoo.callbacks import SanityCheck, sanity_failures

X = np.random.default_rng(0).normal(size=(24, 6)).astype("float32")
Y = np.arange(24) % 3
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build(optimizer=None, **options):
    """A network with all that a step moves: weights, statistics, seeds."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2, seed=1),
            keras.layers.Dense(3),
        ]
    )
    optimizer = optimizer or keras.optimizers.SGD(0.1, momentum=0.9)
    # "accuracy" would make its variables in the first step, as the optimizer
    # its slots, and TensorFlow would trace it twice for that.
    metrics = [keras.metrics.SparseCategoricalAccuracy("accuracy")]
    model.compile(optimizer, LOSS, metrics=metrics, **options)
    model.optimizer.build(model.trainable_variables)
    return model


def everything(model):
    variables = (
        *model.variables,
        *model.metrics_variables,
        *model.optimizer.variables,
    )
    return [np.array(keras.ops.convert_to_numpy(x)) for x in variables]


def fit(model, *callbacks, **options):
    options = {"epochs": 2, "batch_size": 8, "verbose": 0, **options}
    return model.fit(X, Y, callbacks=list(callbacks), **options)


def test_fit_goes_on_as_without_it():
    together = 1 if keras.backend.backend() == "torch" else 3  # as it must
    plain, checked = (build(steps_per_execution=together) for _ in range(2))
    keras.utils.set_random_seed(0)
    expected = fit(plain).history
    keras.utils.set_random_seed(0)
    assert fit(checked, SanityCheck(X, Y)).history == expected
    for left, right in zip(everything(checked), everything(plain), strict=True):
        np.testing.assert_array_equal(left, right)
    assert len(np.unique(expected["loss"])) == 2  # it does train


def begin(check, model):
    """What `fit` does before the first epoch."""
    check.set_model(model)
    check.on_train_begin()


@pytest.mark.slow(ci=True)
def test_random_streams_of_python_and_numpy_stay():
    model = build()
    streams = random.getstate(), str(np.random.get_state())
    begin(SanityCheck(X, Y, steps=0), model)
    assert (random.getstate(), str(np.random.get_state())) == streams


def test_a_failure_leaves_the_model_as_it_was():
    model = build()
    before = [np.array(keras.ops.convert_to_numpy(x)) for x in model.variables]
    x = np.repeat(X[:8], 3, axis=0)  # each in three classes
    with pytest.raises(ValueError, match="cannot be learned by heart"):
        fit(model, SanityCheck(x, Y, steps=9))
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(variable), value
        )


def test_it_raises_all_that_is_fatal():
    x = X.copy()
    x[3, 2] = np.nan
    with pytest.raises(ValueError) as error:
        begin(SanityCheck(x, Y + 1), build())
    lines = str(error.value).splitlines()
    assert lines[0].startswith("SanityCheck: Labels must be whole numbers")
    assert lines[1].startswith("SanityCheck: 0.69% of the input is not finite")


# Keras reads its variables in a way that NumPy 2 deprecates.
KERAS_READS = pytest.mark.filterwarnings("ignore:__array__ implementation")


@KERAS_READS
def test_what_is_unusual_warns():
    x = X.copy()
    x[3] = 0
    with pytest.warns(UserWarning, match="^SanityCheck: 1 of 24 examples are"):
        begin(SanityCheck(x, Y, steps=0), build(run_eagerly=True))


@KERAS_READS
def test_what_is_fatal_warns_where_asked():
    with pytest.warns(UserWarning, match="^SanityCheck: Labels must be"):
        begin(SanityCheck(X, Y - 1, on_failure="warn"), build())


def test_its_state_says_that_the_check_is_done():
    first, second = SanityCheck(X, Y, steps=0), SanityCheck(X, Y + 1)
    assert first.get_state() == {"is_done": False}
    begin(first, build(run_eagerly=True))
    assert first.get_state() == {"is_done": True}
    second.set_state(first.get_state())
    begin(second, build())  # does not look at the labels


def test_a_training_that_goes_on_is_not_looked_at():
    model = build()
    fit(model, epochs=1)
    check = SanityCheck(X, Y + 1)
    begin(check, model)  # would raise
    assert not check.is_done


@pytest.mark.slow(ci=True)
def test_looking_at_a_training_that_goes_on_leaves_no_trace():
    plain, checked = build("adam"), build("adam")
    for model in (plain, checked):
        keras.utils.set_random_seed(0)
        fit(model, epochs=1)
    assert sanity_failures(checked, X, Y, steps=0) == []
    for left, right in zip(everything(checked), everything(plain), strict=True):
        np.testing.assert_array_equal(left, right)
    for model in (plain, checked):
        keras.utils.set_random_seed(1)
        fit(model)
    for left, right in zip(everything(checked), everything(plain), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"on_failure": "ignore"}, '`on_failure` must be "raise" or'),
        ({"steps": -1}, "`steps` must be at least 0. Received: steps=-1"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SanityCheck(X, Y, **options)
