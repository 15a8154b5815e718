import random

import keras
import numpy as np
import pytest

from dropzoo.callbacks import StochasticWeightAveraging
from dropzoo.schedules import CyclicalLearningRate, PerUpdate, SnapshotCosine

STEPS = 4  # in an epoch
X = np.random.default_rng(0).normal(size=(STEPS * 2, 3)).astype("float32")
Y = np.arange(STEPS * 2) % 2


class Noted(keras.callbacks.Callback):
    """Notes the weights after each batch."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.model.get_weights())

    def mean(self, *batches):
        """Of the weights after these batches, counted from 1."""
        chosen = [self.weights[number - 1] for number in batches]
        return [
            np.mean(np.float64(w), axis=0) for w in zip(*chosen, strict=True)
        ]


def build(rate=0.5, *, batch_norm=False, **options):
    random.seed(0)
    layers = [keras.Input((3,)), keras.layers.Dense(4, activation="tanh")]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization(momentum=0.5))
    model = keras.Sequential([*layers, keras.layers.Dense(2)])
    optimizer = rate
    if not isinstance(rate, keras.optimizers.Optimizer):
        optimizer = keras.optimizers.SGD(rate)
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )
    return model


def fit(model, *callbacks, epochs=5, **options):
    options = {"batch_size": 2, "shuffle": False, "verbose": 0, **options}
    if not model.optimizer.built:  # or TensorFlow would trace the step twice
        model.optimizer.build(model.trainable_variables)
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)


def assert_close(found, expected):
    for value, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, right, rtol=1e-5, atol=1e-6)


def test_the_mean_is_of_each_epochs_end_from_the_start_on():
    averages = {
        start: StochasticWeightAveraging(start, apply="never")
        for start in (0, 2, 4)
    }
    noted = Noted()
    fit(build(), noted, *averages.values())
    for start, average in averages.items():
        batches = (4, 8, 12, 16, 20)[start:]
        assert average.num_averaged == len(batches)
        found = average.averaged_model().get_weights()
        assert_close(found, noted.mean(*batches))


@pytest.mark.parametrize(
    ("rate", "batches"),
    [
        pytest.param(
            SnapshotCosine(0.5, 20, 5),
            (12, 16, 20),
            marks=pytest.mark.slow(ci=True),
        ),
        (CyclicalLearningRate(0.1, 0.5, 3), (13, 19)),
        pytest.param(
            keras.optimizers.schedules.CosineDecayRestarts(0.5, 5, 1.0),
            (10, 15, 20),
            marks=pytest.mark.slow(ci=True),
        ),
    ],
)
def test_a_cyclical_rate_gives_the_weights_at_its_minima(rate, batches):
    noted, model = Noted(), build(rate)
    fit(model, noted, StochasticWeightAveraging(2, at="cycle"))
    assert_close(model.get_weights(), noted.mean(*batches))


@pytest.mark.slow(ci=True)
def test_batches_held_back_are_followed_through_the_cycles():
    rate = PerUpdate(SnapshotCosine(0.5, 10, 5), 2)
    optimizer = keras.optimizers.SGD(rate, gradient_accumulation_steps=2)
    noted, model = Noted(), build(optimizer)
    fit(model, noted, StochasticWeightAveraging(2, at="cycle"))
    assert_close(model.get_weights(), noted.mean(12, 16, 20))


@pytest.mark.slow(ci=True)
def test_an_epoch_without_an_update_adds_nothing():
    optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=8)
    noted, model = Noted(), build(optimizer)
    average = StochasticWeightAveraging(0)
    fit(model, noted, average)
    assert average.num_averaged == 2
    assert_close(model.get_weights(), noted.mean(8, 16))


def test_an_epoch_that_loss_scaling_has_skipped_adds_nothing():
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.05), initial_scale=2.0**127
    )
    noted, model = Noted(), build(optimizer, loss_weights=16.0)
    before = model.get_weights()[0]
    average = StochasticWeightAveraging(0)
    fit(model, noted, average, batch_size=8)  # a step in an epoch
    moved = [
        number
        for number, weights in enumerate(noted.weights, start=1)
        if not np.array_equal(weights[0], before)
    ]
    assert 0 < len(moved) < 5
    assert average.num_averaged == len(moved)
    assert_close(model.get_weights(), noted.mean(*moved))


def test_batch_statistics_are_recomputed_for_the_average():
    model, noted = build(batch_norm=True), Noted()
    batches = [(X[:4], Y[:4]), (X[4:], Y[4:])]
    fit(model, noted, StochasticWeightAveraging(3, batches=batches))
    kernel, bias, gamma, beta, *_ = noted.mean(16, 20)
    assert_close(model.get_weights()[:4], [kernel, bias, gamma, beta])
    hidden = [np.tanh(x @ kernel + bias) for x in (X[:4], X[4:])]
    mean = np.mean([x.mean(axis=0) for x in hidden], axis=0)
    variance = np.mean([x.var(axis=0) for x in hidden], axis=0)
    assert_close(model.get_weights()[4:6], [mean, variance])


def test_trained_batch_normalization_needs_batches():
    model = build(batch_norm=True)
    with pytest.raises(ValueError, match="`batches` must be training data"):
        fit(model, StochasticWeightAveraging(3))
    model.layers[1].trainable = False
    model.compile("sgd", model.loss)
    fit(model, StochasticWeightAveraging(3))


def test_a_start_behind_the_end_is_refused_before_the_training():
    model, noted = build(), Noted()
    with pytest.raises(ValueError, match="`start_epoch` must be below"):
        fit(model, noted, StochasticWeightAveraging(5))
    assert noted.weights == []


def test_cycles_need_a_schedule():
    with pytest.raises(ValueError, match="must have a LearningRateSchedule"):
        fit(build(), StochasticWeightAveraging(3, at="cycle"))


@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="Keras executes single steps on PyTorch",
)
def test_steps_executed_together_must_end_with_the_cycle():
    average = StochasticWeightAveraging(0, at="cycle")
    model = build(SnapshotCosine(0.5, 20, 4), steps_per_execution=2)
    with pytest.raises(ValueError, match="`steps_per_execution` must divide"):
        fit(model, average)


def test_a_negative_start_is_refused():
    with pytest.raises(ValueError, match="`start_epoch` must be .*=-1"):
        StochasticWeightAveraging(-1)


def test_another_moment_is_refused():
    with pytest.raises(ValueError, match="`at` must be .*at='step'"):
        StochasticWeightAveraging(0, at="step")


@pytest.mark.torch
def test_pytorch_finds_the_same():
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel

    noted, model = Noted(), build()
    fit(model, noted, StochasticWeightAveraging(1))
    shapes = [w.shape for w in noted.weights[0]]
    twin = torch.nn.ParameterList([torch.zeros(shape) for shape in shapes])
    average = AveragedModel(twin)
    for number in (8, 12, 16, 20):
        for parameter, value in zip(
            twin, noted.weights[number - 1], strict=True
        ):
            parameter.data = torch.tensor(value)
        average.update_parameters(twin)
    expected = [x.detach().numpy() for x in average.parameters()]
    assert_close(model.get_weights(), expected)
