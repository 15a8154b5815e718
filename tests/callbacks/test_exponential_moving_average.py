import random

import keras
import numpy as np
import pytest

from dropzoo.callbacks import ExponentialMovingAverage

STEPS = 6  # in an epoch
X = np.random.default_rng(0).normal(size=(STEPS * 2, 3)).astype("float32")
Y = np.arange(STEPS * 2) % 2


class Noted(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.model.get_weights())


def build(optimizer=None, *, batch_norm=False, **options):
    random.seed(0)
    layers = [keras.Input((3,)), keras.layers.Dense(4, activation="tanh")]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization(momentum=0.5))
    model = keras.Sequential([*layers, keras.layers.Dense(2)])
    model.compile(
        optimizer or keras.optimizers.SGD(0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # Sooner begun than a graph, which several steps at once need.
        run_eagerly="steps_per_execution" not in options,
        **options,
    )
    return model


def fit(model, *callbacks, epochs=2, **options):
    options = {"batch_size": 2, "shuffle": False, "verbose": 0, **options}
    if not model.optimizer.built:  # or TensorFlow would trace the step twice
        model.optimizer.build(model.trainable_variables)
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)


def average_of(weights, decay, warmup=False):
    """The definition, in double precision."""
    average = [np.float64(x) for x in weights[0]]
    for n, step in enumerate(weights[1:], start=1):
        now = min(decay, (1 + n) / (10 + n)) if warmup else decay
        average = [
            now * old + (1 - now) * new
            for old, new in zip(average, step, strict=True)
        ]
    return average


def assert_close(found, expected):
    for value, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, right, rtol=1e-5, atol=1e-6)


def test_averages_follow_the_definition():
    options = [(d, w) for d in (0.0, 0.4, 0.999) for w in (True, False)]
    averages = [
        ExponentialMovingAverage(decay, warmup=warmup, apply="never")
        for decay, warmup in options
    ]
    noted = Noted()
    fit(build(), noted, *averages)
    for average, (decay, warmup) in zip(averages, options, strict=True):
        expected = average_of(noted.weights, decay, warmup)
        assert_close(average.averaged_model().get_weights(), expected)


def test_without_warmup_it_is_what_keras_computes():
    optimizer = keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9)
    model = build(optimizer)
    ours = ExponentialMovingAverage(0.9, warmup=False, apply="never")
    fit(model, ours)
    theirs = model.get_weights()
    assert_close(ours.averaged_model().get_weights(), theirs)


def test_steps_that_loss_scaling_skips_add_nothing():
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.05), initial_scale=2.0**127
    )
    model, noted = build(optimizer, loss_weights=16.0), Noted()
    start = model.get_weights()
    average = ExponentialMovingAverage(0.9, warmup=False, apply="never")
    fit(model, noted, average)
    skipped = sum(np.array_equal(w[0], start[0]) for w in noted.weights)
    assert 0 < skipped < 2 * STEPS
    assert average.num_averaged == 2 * STEPS - skipped
    expected = average_of(noted.weights[skipped:], 0.9)
    assert_close(average.averaged_model().get_weights(), expected)


def test_batches_that_accumulation_holds_back_add_nothing():
    optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=4)
    model, noted = build(optimizer), Noted()
    average = ExponentialMovingAverage(0.9, warmup=False, apply="never")
    fit(model, noted, average)
    assert average.num_averaged == 3
    expected = average_of(noted.weights[3::4], 0.9)
    assert_close(average.averaged_model().get_weights(), expected)


def test_updates_of_several_optimizers_count_once():
    optimizers = keras.optimizers
    optimizer = optimizers.MultiOptimizer(
        optimizers.OptimizerMap(
            optimizers.SGD(0.5, gradient_accumulation_steps=3),
            {".*bias": optimizers.Adam(gradient_accumulation_steps=3)},
        )
    )
    model, noted = build(optimizer), Noted()
    average = ExponentialMovingAverage(0.9, warmup=False, apply="never")
    fit(model, noted, average)
    expected = average_of(noted.weights[2::3], 0.9)
    assert_close(average.averaged_model().get_weights(), expected)


def test_batch_statistics_are_averaged_or_recomputed():
    model, noted = build(batch_norm=True), Noted()
    averaged = ExponentialMovingAverage(0.9, apply="never")
    batches = [X[:4], X[4:]]
    recomputed = ExponentialMovingAverage(0.9, apply="never", batches=batches)
    fit(model, noted, averaged, recomputed)
    expected = average_of(noted.weights, 0.9, warmup=True)
    assert_close(averaged.averaged_model().get_weights(), expected)
    kernel, bias, *_ = expected
    hidden = [np.tanh(x @ kernel + bias) for x in batches]
    expected[4] = np.mean([x.mean(axis=0) for x in hidden], axis=0)
    expected[5] = np.mean([x.var(axis=0) for x in hidden], axis=0)
    assert_close(recomputed.averaged_model().get_weights(), expected)


@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="Keras executes single steps on PyTorch",
)
def test_several_updates_in_one_execution_are_refused():
    model = build(steps_per_execution=2)
    with pytest.raises(ValueError, match="2 updates in one execution"):
        fit(model, ExponentialMovingAverage())


@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="Keras executes single steps on PyTorch",
)
def test_one_update_in_several_executed_steps_is_followed():
    optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=3)
    model = build(optimizer, steps_per_execution=3)
    average = ExponentialMovingAverage()
    fit(model, average)
    assert average.num_averaged == 4


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match=f"`decay` must be .*decay={decay}"):
        ExponentialMovingAverage(decay)


@pytest.mark.torch
def test_pytorch_finds_the_same():
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    noted, model = Noted(), build()
    fit(model, noted, ExponentialMovingAverage(0.9, warmup=False))
    twin = torch.nn.ParameterList(
        [torch.zeros(w.shape) for w in noted.weights[0]]
    )
    average = AveragedModel(twin, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    for weights in noted.weights:
        for parameter, value in zip(twin, weights, strict=True):
            parameter.data = torch.tensor(value)
        average.update_parameters(twin)
    expected = [x.detach().numpy() for x in average.parameters()]
    assert_close(model.get_weights(), expected)
