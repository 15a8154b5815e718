"""The range test: what it measures, and that it leaves nothing behind."""

import random

import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.callbacks import LearningRateFinder
from dropzoo.models.layerwise_adamw import LayerwiseAdamW

X = np.random.default_rng(0).normal(size=(80, 4)).astype("float32")
Y = X[:, :1] - 2 * X[:, 1:2]
cosine = keras.optimizers.schedules.CosineDecay
is_jax = keras.backend.backend() == "jax"


def build(optimizer, **options) -> keras.Model:
    """A network with moving statistics and a generator of its own."""
    random.seed(3)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3, seed=5),
            layers.Dense(1),
        ]
    )
    # "mae" would make its variables in the first step, which TensorFlow would
    # trace twice for that.
    metrics = [keras.metrics.MeanAbsoluteError("mae")]
    model.compile(optimizer, "mse", metrics=metrics, **options)
    return model


def state(model) -> list[np.ndarray]:
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def assert_same(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    assert len(one) == len(other)
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def train(model, epochs: int = 1) -> None:
    if not model.optimizer.built:  # or TensorFlow would trace the step twice
        model.optimizer.build(model.trainable_variables)
    model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, shuffle=False)


def find(model, **options):
    finder = LearningRateFinder(**options)
    finder.find(model, often(X), often(Y), batch_size=16, shuffle=False)
    return finder


def often(x: np.ndarray, times: int = 100) -> np.ndarray:
    """For a test within one epoch: to begin another one takes long."""
    return np.tile(x, (times, 1))


def find_on_all_data(finder, model, y):
    """Where each batch holds all data."""
    finder.find(model, often(X), often(y), batch_size=len(X), shuffle=False)


def two_optimizers():
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.SGD(0.01),
            {".*bias": keras.optimizers.Adam(cosine(1e-3, 100))},
        )
    )


OPTIMIZERS = {
    "number": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "schedule": lambda: keras.optimizers.AdamW(cosine(1e-3, 100)),
    "function": lambda: keras.optimizers.SGD(lambda: 0.01),
    "loss scaling": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(cosine(1e-3, 100)), initial_scale=8.0
    ),
    "accumulation": lambda: keras.optimizers.SGD(
        0.01, gradient_accumulation_steps=2
    ),
    "layer-wise": lambda: LayerwiseAdamW(
        [0.5] * 4 + [1.0] * 2, cosine(1e-3, 100)
    ),
    "several": two_optimizers,
}
if not is_jax:  # there Keras cannot train a second time with an average
    OPTIMIZERS["average"] = lambda: keras.optimizers.SGD(0.01, use_ema=True)

RARE = {
    "number",
    "function",
    "accumulation",
    "layer-wise",
    "several",
    "loss scaling",
    "average",
}
every_optimizer = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow(ci=True)] * (name in RARE))
        for name in OPTIMIZERS
    ],
)


# Nothing is left behind.


@every_optimizer
def test_a_training_goes_on_as_if_there_had_been_no_test(name):
    models = [build(OPTIMIZERS[name]()) for _ in range(2)]
    for model, is_tested in zip(models, (True, False), strict=True):
        train(model)
        if is_tested:
            before = state(model)
            finder = find(model)
            assert_same(state(model), before)
            assert len(finder.rates) > 50
        train(model, epochs=2)
    assert_same(*map(state, models))


@pytest.mark.slow(ci=True)
def test_a_first_training_is_the_same_after_a_test():
    models = [build(OPTIMIZERS["schedule"]()) for _ in range(2)]
    find(models[0])
    for model in models:
        train(model)
    assert_same(*map(state, models))


def test_the_schedule_itself_comes_back():
    schedule = cosine(1e-3, 100)
    optimizer = keras.optimizers.Adam(schedule)
    model = linear_model(optimizer)
    train(model)
    traced = model.train_function
    find(model)
    assert optimizer._learning_rate is schedule
    assert model.train_function is traced
    assert "train_step" not in vars(model)


def test_a_training_step_of_one_model_alone_comes_back():
    model = linear_model(OPTIMIZERS["schedule"]())
    step = model.train_step
    model.train_step = own = lambda *data: step(*data)
    find(model)
    assert model.train_step is own


@pytest.mark.parametrize(
    ("name", "error"),
    [("schedule", KeyboardInterrupt), ("number", RuntimeError)],
)
def test_an_interruption_leaves_nothing_behind(name, error):
    def interrupt(batch, logs):
        if batch == 2:
            raise error("stop")

    model = linear_model(OPTIMIZERS[name]())
    train(model)
    before, history = state(model), model.history
    finder = LearningRateFinder()
    with pytest.raises(error, match="stop"):
        finder.find(
            model,
            X,
            Y,
            callbacks=[
                keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)
            ],
        )
    assert_same(state(model), before)
    assert model.history is history
    assert len(finder.rates) == 3
    assert finder.suggestions is None


def test_after_a_stopped_fit_the_user_restores():
    def interrupt(batch, logs):
        raise KeyboardInterrupt

    model = linear_model(OPTIMIZERS["schedule"]())
    finder = LearningRateFinder()
    train(model)
    before = state(model)
    stop = keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, callbacks=[finder, stop], verbose=0)
    finder.restore()
    assert_same(state(model), before)
    train(model)
    after = state(model)
    finder.restore()  # once is enough: this must not undo the training
    assert_same(state(model), after)


def test_history_flag_and_generators_are_kept():
    model = linear_model(keras.optimizers.SGD(0.01))
    np.random.seed(1)
    random.seed(1)
    find(model)
    assert not hasattr(model, "history")
    assert model.stop_training is False
    drawn = np.random.random(), random.random()
    np.random.seed(1)
    random.seed(1)
    assert drawn == (np.random.random(), random.random())


def test_validation_and_epoch_ends_see_the_model_as_it_was():
    model = linear_model(OPTIMIZERS["number"]())
    train(model)
    before = model.evaluate(X, Y, return_dict=True, verbose=0)
    finder = LearningRateFinder()
    history = model.fit(
        often(X, 5),
        often(Y, 5),
        epochs=50,
        validation_data=(X, Y),
        callbacks=[finder],
        verbose=0,
    ).history
    assert 1 < len(history["val_loss"]) < 50  # it has stopped by itself
    assert history["val_loss"][-1] == pytest.approx(before["loss"])
    assert finder.suggestions is not None


# What is measured.


def linear_model(optimizer, **options) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    model.compile(optimizer, "mse", **options)
    return model


# What is left of the loss keeps its digits in float32.
NOISY = Y + np.random.default_rng(1).normal(0, 0.5, Y.shape).astype("float32")


def computed_losses(rates) -> np.ndarray:
    """The loss of each step of gradient descent on all of the data."""
    weights, losses = np.zeros((4, 1)), []
    for rate in rates:
        error = X @ weights - NOISY
        losses.append((error**2).mean())
        weights -= rate * 2 * X.T @ error / len(X)
    return np.array(losses)


def assert_same_curve(found, expected) -> None:
    """Up to float32, whose rounding grows by factors in the last steps."""
    np.testing.assert_allclose(found[:-3], expected[:-3], rtol=1e-3)
    np.testing.assert_allclose(found[-3:], expected[-3:], rtol=0.3)


@pytest.mark.parametrize("rate", [0.3, cosine(0.3, 10)])
def test_the_curve_is_that_of_gradient_descent(rate):
    model = linear_model(keras.optimizers.SGD(rate))
    finder = LearningRateFinder()
    find_on_all_data(finder, model, NOISY)
    points = len(finder.rates)
    rates = np.geomspace(1e-7, 10, 100)[:points]
    np.testing.assert_allclose(finder.rates, rates)
    expected = computed_losses(rates)
    assert_same_curve(finder.batch_losses, expected)
    weights = 0.98 ** np.arange(points)
    smoothed = np.convolve(expected, weights)[:points] / np.cumsum(weights)
    assert_same_curve(finder.losses, smoothed)
    # It diverges where the rate passes 1 / (largest eigenvalue of X'X / n).
    assert 50 < points < 100
    assert (smoothed[:-1] <= 4 * smoothed.min()).all()
    assert smoothed[-1] > 4 * smoothed.min()
    edge = 1 / np.linalg.eigvalsh(X.T @ X / len(X)).max()
    assert edge < finder.rates[-1]
    assert max(vars(finder.suggestions).values()) < edge


def test_the_last_rate_is_reached():
    finder = find(
        linear_model(keras.optimizers.SGD(0.01)),
        start_rate=1e-6,
        end_rate=1e-3,
        num_iterations=40,
    )
    assert len(finder.losses) == 40
    assert finder.rates[-1] == pytest.approx(1e-3)


def test_every_batch_has_its_own_loss():
    """Keras logs the mean over the epoch so far."""
    eager = build(OPTIMIZERS["number"](), run_eagerly=True)
    few = find(eager, start_rate=1e-9, end_rate=1e-6, num_iterations=25)
    losses = few.batch_losses
    model = build(OPTIMIZERS["number"]())
    tiny = LearningRateFinder(1e-30, 1e-29)
    tiny.find(model, often(X), often(Y), batch_size=16, shuffle=False)
    assert np.std(losses[:5]) > 0
    # No weight moves: the mean of an epoch would be the same in its end.
    assert np.std(tiny.batch_losses[4::5]) > 0
    np.testing.assert_allclose(tiny.batch_losses[:5], losses[:5], rtol=1e-4)


def test_several_rates_keep_their_ratio():
    optimizer = two_optimizers()
    model = build(optimizer)
    seen = []

    def note(batch, logs):
        seen.append(
            [
                float(keras.ops.convert_to_numpy(part.learning_rate + 0))
                for part in sorted(optimizer.optimizers, key=lambda x: x.name)
            ]
        )

    finder = LearningRateFinder()
    finder.find(
        model,
        often(X),
        often(Y),
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=note)],
    )
    adam, sgd = np.array(seen[: len(finder.rates)]).T
    np.testing.assert_allclose(sgd, finder.rates, rtol=1e-5)
    np.testing.assert_allclose(adam, sgd / 10, rtol=1e-5)


def test_a_step_that_loss_scaling_skips_does_not_count():
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(cosine(0.3, 10)), initial_scale=2.0**127
    )
    model = linear_model(optimizer)
    finder = LearningRateFinder()
    find_on_all_data(finder, model, NOISY)
    rates = np.geomspace(1e-7, 10, 100)[: len(finder.rates)]
    np.testing.assert_allclose(finder.rates, rates)
    assert_same_curve(finder.batch_losses, computed_losses(rates))


@pytest.mark.slow(ci=True)
def test_mixed_precision_works():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(OPTIMIZERS["schedule"]())
    finally:
        keras.config.set_dtype_policy("float32")
    before = state(model)
    find(model)
    assert_same(state(model)[: len(before)], before)


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras has no XLA there"
)
def test_a_compiled_step_works():
    losses = [
        find(linear_model(keras.optimizers.SGD(0.01), jit_compile=jit)).losses
        for jit in (True, False)
    ]
    np.testing.assert_allclose(losses[0][0], losses[1][0], rtol=0.2)


# Kinds of data.


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 25

    def __getitem__(self, index):
        start = 16 * (index % 5)
        part = slice(start, start + 16)
        return X[part], Y[part]


def as_dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(16).repeat(5)


def endless():
    while True:
        yield X[:16], Y[:16]


@pytest.mark.parametrize(
    "data",
    [
        Batches,
        pytest.param(as_dataset, marks=pytest.mark.slow(ci=True)),
        endless,
    ],
)
def test_data_of_any_kind_are_repeated(data):
    finder = LearningRateFinder()
    found = finder.find(linear_model(keras.optimizers.SGD(0.01)), data())
    assert len(finder.rates) > 50
    assert found == finder.suggestions


# Mistakes.


def seven():
    return ((X[:16], Y[:16]) for _ in range(7))


def used_up():
    """A data set whose source is empty from the second epoch on."""
    import tensorflow as tf

    source = seven()
    shapes = tf.TensorSpec((16, 4)), tf.TensorSpec((16, 1))
    return tf.data.Dataset.from_generator(
        lambda: source, output_signature=shapes
    )


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize(
    "data", [seven, pytest.param(used_up, marks=pytest.mark.slow(ci=True))]
)
def test_data_that_cannot_be_read_again_are_refused(data):
    model = linear_model(keras.optimizers.SGD(0.01))
    before = state(model)
    with pytest.raises(ValueError, match="an end after . of 100 iter"):
        LearningRateFinder().find(model, data())
    assert_same(state(model)[: len(before)], before)


def test_a_fit_that_is_too_short_is_refused():
    model = linear_model(keras.optimizers.SGD(0.01))
    with pytest.raises(ValueError, match=r"end after 10 of 100 .* more epochs"):
        model.fit(
            X,
            Y,
            batch_size=16,
            epochs=2,
            callbacks=[LearningRateFinder()],
            verbose=0,
        )


def test_a_first_loss_that_is_not_finite_is_refused():
    model = linear_model(keras.optimizers.SGD(0.01))
    with pytest.raises(ValueError, match="first batch must be finite"):
        LearningRateFinder().find(model, X, np.full_like(Y, np.nan))


def test_a_loss_that_becomes_infinite_ends_the_test():
    model = linear_model(keras.optimizers.SGD(0.1))
    finder = LearningRateFinder(1e-7, 1e7, divergence=np.inf)
    find_on_all_data(finder, model, Y)
    assert len(finder.rates) < 100
    assert np.isfinite(finder.batch_losses).all()
    assert_same(state(model)[:1], [np.zeros((4, 1))])


def test_a_rate_that_starts_too_high_is_refused():
    model = linear_model(keras.optimizers.SGD(0.1))
    finder = LearningRateFinder(10.0, 100.0)
    with pytest.raises(ValueError, match=r"too early .* lower `start_rate`"):
        find_on_all_data(finder, model, Y)
    assert finder.losses  # what was seen can be looked at


@pytest.mark.parametrize(
    "rates", [(0, 1), (1e-3, 1e-3), (1, 0.1), (1e-7, float("inf"))]
)
def test_rates_that_do_not_rise_are_refused(rates):
    with pytest.raises(ValueError, match="`start_rate` must be above 0"):
        LearningRateFinder(*rates)


def test_the_arguments_of_the_curve_are_checked():
    with pytest.raises(ValueError, match="`num_iterations` must be at least"):
        LearningRateFinder(num_iterations=10)


def test_a_model_that_is_not_compiled_is_refused():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="`model` must be compiled"):
        LearningRateFinder().find(model, X, Y)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="others build it in fit"
)
def test_a_model_that_is_not_built_is_refused():
    model = keras.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must be built.*built=False"):
        LearningRateFinder().find(model, X, Y)


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras has it not there"
)
def test_several_steps_in_one_execution_are_refused():
    model = build(OPTIMIZERS["number"](), steps_per_execution=2)
    with pytest.raises(ValueError, match="steps_per_execution=2"):
        LearningRateFinder().find(model, X, Y)


def test_ratios_to_zero_are_refused():
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.SGD(0.01), {".*bias": keras.optimizers.SGD(0.0)}
        )
    )
    with pytest.raises(ValueError, match="several rates must have them above"):
        find(build(optimizer))


class Silent(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def train_step(self, *data):
        logs = super().train_step(*data)
        if is_jax:
            return {"error": logs[0]["loss"]}, logs[1]
        return {"error": logs["loss"]}


def test_a_training_step_without_a_loss_is_refused():
    model = Silent()
    model.compile("sgd", "mse")
    model(X)
    with pytest.raises(ValueError, match=r"as 'loss'. Received: \['error'\]"):
        LearningRateFinder().find(model, X, Y)


# The picture.


def test_the_curve_is_drawn(tmp_path):
    finder = find(linear_model(keras.optimizers.SGD(0.01)))
    finder.plot(tmp_path / "new" / "curve.png")
    files = [path.name for path in (tmp_path / "new").iterdir()]
    assert files == ["curve.png"]
    content = (tmp_path / "new" / "curve.png").read_bytes()
    assert content.startswith(b"\x89PNG") and len(content) > 10_000


def test_there_is_no_picture_without_a_curve(tmp_path):
    with pytest.raises(ValueError, match="call `find` first"):
        LearningRateFinder().plot(tmp_path / "curve.png")
    assert not list(tmp_path.iterdir())
