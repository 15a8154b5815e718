"""Small trainings with a known fault, for benchmarks/curve_diagnosis.py.

    python benchmarks/curve_trainings.py --part held_out --fashion FOLDER

writes their losses to tests/callbacks/curves. Each has one fault. What is wrong
is known by construction and by the outcome, not by looking at the curve:

- best: for each setting of data, network and optimizer, five rates, each
  about three times the next, train 20 epochs; the best has the lowest last
  validation loss;
- healthy: the best rate, constant or falling by a half cosine;
- rate too high: the smallest of 3, 10, 30, 100 and 300 times the best rate
  that ends with a training loss of at least twice the best plus a twentieth
  of the loss of its first step, and of at most 1.5 times that;
- rate too low: 1/100 or 1/300 of the best rate; it shows in the last loss of
  the training examples;
- diverging: the smallest of 10, 100, 1000 and 10000 times the best rate whose
  loss is not finite in the end or at least 5 times the loss of the first step;
- bad initialisation: all kernels times 10; or times the smallest of 0.3, 0.1,
  0.03 and 0.01 that still learns half of the first loss away;
- overfitting: 4 training examples for each class, a network 8 times as wide;
  it shows in the last validation loss, and not in that of the training
  examples;
- underfitting: one unit in each hidden layer, dropout of 0.8 behind each, or
  an L2 penalty of 0.1 on all kernels; it shows in the last loss of the training
  examples;
- plateau: once five batches have half of the first loss, the rate falls by 0.7
  in each step, to a thousandth of the best; where what is still learned then
  leaves nothing to see, once they have 0.7 or 0.9 of it; it shows in the last
  loss of the training examples.

A fault shows in a loss if this is at least twice that of the healthy training
of the best rate, plus a twentieth of ln C; at inference, without penalties. To
overfit or underfit is a matter of the network, which is therefore trained at
0.3, 1 and 3 times the best rate; the training counts that minimised best.

Where a setting does not diverge, or not with any of the factors, its 12 faulty
trainings are filled up with plateaus and overfitting of other seeds.

The parts differ in data, networks, optimizers and seeds. Fashion-MNIST is
Debian's `dataset-fashion-mnist`.
"""

import dataclasses
import functools
import gzip
import itertools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
import tyro
from keras import layers
from sklearn import datasets

from dropzoo.callbacks import CurveDiagnosis

CURVES = Path(__file__).parents[1] / "tests" / "callbacks" / "curves"
EPOCHS, BATCH, TRAIN, VALIDATION = 20, 32, 900, 500


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is trained, when nothing is wrong.

    Args:
        data: A function's name in `DATA`.
        hidden: Units of the dense layers, or channels of the convolutions.
        activation: After each of them.
        optimizer: A name in `OPTIMIZERS`.
        seed: Of data, weights and batches.
    """

    data: str
    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    seed: int


TUNING = (
    Setting("digits", (64, 64), "relu", "momentum", 1),
    Setting("digit_images", (8, 16), "relu", "adam", 2),
    Setting("clusters", (48, 48, 48), "tanh", "sgd", 3),
    Setting("teacher", (64, 64), "relu", "adam", 4),
)
FIRST_HELD_OUT = (
    Setting("fashion", (96, 48), "relu", "adamw", 11),
    Setting("fashion_images", (12, 24), "relu", "momentum", 12),
    Setting("shells", (40, 40, 40), "tanh", "rmsprop", 13),
    Setting("spirals", (48, 48, 48), "relu", "adam", 14),
    Setting("patches", (10, 20), "elu", "nesterov", 15),
)

SECOND_HELD_OUT = (
    Setting("wine_and_noise", (32, 32), "elu", "momentum", 21),
    Setting("tumours_and_noise", (48, 24), "relu", "adamw", 22),
    Setting("roll", (40, 40, 40), "tanh", "adam", 23),
    Setting("shoes", (8, 16), "relu", "rmsprop", 24),
    Setting("rings", (64, 32), "relu", "nesterov", 25),
)
THIRD_HELD_OUT = (
    Setting("moons", (32, 32, 32), "gelu", "adam", 31),
    Setting("waves", (64, 32), "relu", "momentum", 32),
    Setting("clothes", (8, 16), "silu", "adamw", 33),
    Setting("friedman", (48, 48), "tanh", "rmsprop", 34),
    Setting("gratings", (8, 8), "relu", "nesterov", 35),
)
HELD_OUT = (
    Setting("odd_digits", (48, 24), "relu", "lion", 41),
    Setting("s_curve", (32, 32, 32), "leaky_relu", "momentum", 42),
    Setting("blobs", (40, 20), "selu", "adamax", 43),
    Setting("bags", (8, 16), "mish", "adam", 44),
    Setting("marks", (10, 10), "relu", "sgd", 45),
)
SETTINGS = {
    "tuning": TUNING,
    "first_held_out": FIRST_HELD_OUT,
    "second_held_out": SECOND_HELD_OUT,
    "third_held_out": THIRD_HELD_OUT,
    "held_out": HELD_OUT,
}
Part = Literal[
    "tuning", "first_held_out", "second_held_out", "third_held_out", "held_out"
]


def rows_and_labels(x: Any, y: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Shuffled, standardised as a whole, as many as are used."""
    x, y = np.asarray(x, "float32"), np.asarray(y, "int32")
    chosen = np.random.default_rng(seed).permutation(len(x))
    x = (x - x.mean()) / x.std()
    return x[chosen[: TRAIN + VALIDATION]], y[chosen[: TRAIN + VALIDATION]]


def digits(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return rows_and_labels(*datasets.load_digits(return_X_y=True), seed)


def digit_images(seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = digits(seed)
    return x.reshape(-1, 8, 8, 1), y


def clusters(seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = datasets.make_classification(
        1400, 20, n_informative=10, n_classes=4, class_sep=2, random_state=seed
    )
    return rows_and_labels(x, y, seed)


def teacher(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1400, 12))
    outputs = np.tanh(x @ rng.normal(size=(12, 4))) @ rng.normal(size=(4, 3))
    return rows_and_labels(x, outputs.argmax(axis=1), seed)


def shells(seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = datasets.make_gaussian_quantiles(
        n_samples=1400, n_features=4, n_classes=3, random_state=seed
    )
    return rows_and_labels(x, y, seed)


def spirals(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(1400) % 3
    radius = rng.uniform(0.1, 1, 1400)
    angle = 4 * radius + y * 2 * np.pi / 3 + rng.normal(size=1400) * 0.1
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return rows_and_labels(x, y, seed)


def patches(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of two photos a patch of 8x8 pixels is from."""
    rng = np.random.default_rng(seed)
    photos = datasets.load_sample_images().images
    y = np.arange(1400) % 2
    corners = rng.integers(0, 400, (1400, 2))
    x = [
        photos[label][row : row + 8, column : column + 8]
        for label, (row, column) in zip(y, corners, strict=True)
    ]
    return rows_and_labels(x, y, seed)


def fashion_images(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return rows_and_labels(*read_fashion("t10k"), seed)


def fashion(seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = fashion_images(seed)
    return x.reshape(len(x), -1), y


def shoes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sandals, sneakers and boots."""
    return some_fashion((5, 7, 9), seed)


def clothes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """T-shirts, trousers, dresses and coats."""
    return some_fashion((0, 1, 3, 4), seed)


def bags(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pullovers, dresses and bags."""
    return some_fashion((2, 3, 8), seed)


def some_fashion(
    classes: tuple[int, ...], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    x, y = read_fashion("train")
    chosen = np.isin(y, classes)
    return rows_and_labels(x[chosen], np.searchsorted(classes, y[chosen]), seed)


@functools.cache
def read_fashion(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Photos of 14x14 pixels and their classes."""
    with gzip.open(FASHION[0] / f"{part}-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read(), "uint8", offset=16)
    with gzip.open(FASHION[0] / f"{part}-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(), "uint8", offset=8)
    return x.reshape(-1, 14, 2, 14, 2, 1).mean(axis=(2, 4)), y


def wine_and_noise(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return with_noise(*datasets.load_wine(return_X_y=True), seed)


def tumours_and_noise(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return with_noise(*datasets.load_breast_cancer(return_X_y=True), seed)


def with_noise(x: Any, y: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A small table several times, with its measurements disturbed."""
    x = np.tile((x - x.mean(axis=0)) / x.std(axis=0), (8, 1))
    x = x + np.random.default_rng(seed).normal(size=x.shape) * 0.6
    return rows_and_labels(x, np.tile(y, 8), seed)


def roll(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """In which quarter of a rolled-up sheet a point lies."""
    x, place = datasets.make_swiss_roll(1400, noise=0.3, random_state=seed)
    quarters = np.quantile(place, (0.25, 0.5, 0.75))
    return rows_and_labels(x, np.searchsorted(quarters, place), seed)


def rings(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(1400) % 3
    radius = 1 + y + rng.normal(size=1400) * 0.15
    angle = rng.uniform(0, 2 * np.pi, 1400)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return rows_and_labels(x, y, seed)


def moons(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return rows_and_labels(
        *datasets.make_moons(1400, noise=0.2, random_state=seed), seed
    )


def waves(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether a noisy wave is a sine, a square, a triangle or a sawtooth."""
    rng = np.random.default_rng(seed)
    y = np.arange(1400) % 4
    turns = np.arange(32) / 16 + rng.uniform(size=(1400, 1))
    sine = np.sin(2 * np.pi * turns)
    saw = 2 * (turns % 1) - 1
    shapes = np.stack([sine, np.sign(sine), 2 * np.abs(saw) - 1, saw])
    x = shapes[y, np.arange(1400)] + rng.normal(size=(1400, 32)) * 0.3
    return rows_and_labels(x, y, seed)


def friedman(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which third a smooth function of five numbers is in."""
    x, value = datasets.make_friedman1(1400, 6, noise=0.5, random_state=seed)
    thirds = np.quantile(value, (1 / 3, 2 / 3))
    return rows_and_labels(x, np.searchsorted(thirds, value), seed)


def gratings(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """In which of four directions 12x12 pixels of noisy stripes run."""
    rng = np.random.default_rng(seed)
    y = np.arange(1400) % 4
    angle = (y * np.pi / 4)[:, None, None]
    row, column = np.mgrid[:12, :12]
    across = row * np.cos(angle) + column * np.sin(angle)
    pitch, phase = rng.uniform(0.8, 1.6, 1400), rng.uniform(0, 6.28, 1400)
    x = np.sin(across * pitch[:, None, None] + phase[:, None, None])
    x += rng.normal(size=x.shape) * 0.5
    return rows_and_labels(x[..., None], y, seed)


def odd_digits(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether a digit is odd."""
    x, y = digits(seed)
    return x, y % 2


def s_curve(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """In which fifth of a bent sheet a point lies."""
    x, place = datasets.make_s_curve(1400, noise=0.1, random_state=seed)
    fifths = np.quantile(place, (0.2, 0.4, 0.6, 0.8))
    return rows_and_labels(x, np.searchsorted(fifths, place), seed)


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = datasets.make_blobs(
        1400, 6, centers=5, cluster_std=3.0, random_state=seed
    )
    return rows_and_labels(x, y, seed)


def marks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of three marks of 5x5 pixels is somewhere in 12x12 of noise."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[-2:3, -2:3]
    plus, cross = row * column == 0, abs(row) == abs(column)
    square = np.maximum(abs(row), abs(column)) == 2
    shapes = np.stack([plus, cross, square])
    y = np.arange(1400) % 3
    x = rng.normal(size=(1400, 12, 12, 1)) * 0.3
    for image, label, (top, left) in zip(
        x, y, rng.integers(0, 8, (1400, 2)), strict=True
    ):
        image[top : top + 5, left : left + 5, 0] += shapes[label]
    return rows_and_labels(x, y, seed)


FASHION: list[Path] = []
DATA = {
    maker.__name__: maker
    for maker in (
        digits,
        digit_images,
        clusters,
        teacher,
        fashion,
        fashion_images,
        shells,
        spirals,
        patches,
        shoes,
        wine_and_noise,
        tumours_and_noise,
        roll,
        rings,
        moons,
        waves,
        clothes,
        friedman,
        gratings,
        odd_digits,
        s_curve,
        blobs,
        bags,
        marks,
    )
}
OPTIMIZERS = {
    "sgd": (keras.optimizers.SGD, {}, 0.3),
    "momentum": (keras.optimizers.SGD, {"momentum": 0.9}, 0.1),
    "nesterov": (
        keras.optimizers.SGD,
        {"momentum": 0.9, "nesterov": True},
        0.1,
    ),
    "adam": (keras.optimizers.Adam, {}, 0.03),
    "adamw": (keras.optimizers.AdamW, {}, 0.03),
    "rmsprop": (keras.optimizers.RMSprop, {}, 0.03),
    "lion": (keras.optimizers.Lion, {}, 0.003),
    "adamax": (keras.optimizers.Adamax, {}, 0.03),
}
SCHEDULES = {
    "constant": lambda epoch: 1.0,
    "cosine": lambda epoch: 0.5 + 0.5 * math.cos(math.pi * epoch / EPOCHS),
}
STEPS = 5  # rates of the search, downwards
OWN_RATES = (1, 0.3, 3)  # of another network, in best rates


@dataclasses.dataclass(frozen=True)
class Change:
    """What a training does otherwise than the healthy one.

    Args:
        rate: Factor on the best rate.
        schedule: A name in `SCHEDULES`.
        stops: Share of the first loss from which on the rate falls to next to
            nothing; 0 never.
        kernels: Factor on the first kernels.
        per_class: Training examples of each class; None takes all.
        width: Factor on the hidden layers; 0 leaves one unit.
        dropout: Rate behind each hidden layer.
        l2: Penalty of all kernels.
    """

    rate: float = 1
    schedule: str = "constant"
    stops: float = 0
    kernels: float = 1
    per_class: int | None = None
    width: int = 1
    dropout: float = 0
    l2: float = 0


@functools.cache
def examples(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    return DATA[setting.data](setting.seed)


Capacity = tuple[int, float, float]  # factor on width, dropout, L2


def build(
    setting: Setting, shape: tuple[int, ...], outputs: int, capacity: Capacity
) -> keras.Model:
    """The network of a setting with other capacity or regularisers."""
    width, dropout, l2 = capacity
    options: dict[str, Any] = {
        "activation": setting.activation,
        "kernel_initializer": "he_normal",
        "kernel_regularizer": keras.regularizers.L2(l2) if l2 else None,
    }
    model = keras.Sequential([keras.Input(shape)])
    for place, units in enumerate(setting.hidden):
        units = max(1, units * width)
        if len(shape) == 3:
            options |= {"kernel_size": 3, "strides": 2 if place else 1}
            model.add(layers.Conv2D(units, padding="same", **options))
        else:
            model.add(layers.Dense(units, **options))
        model.add(layers.Dropout(dropout, seed=place))
    model.add(layers.Flatten())
    model.add(
        layers.Dense(outputs, kernel_regularizer=options["kernel_regularizer"])
    )
    return model


@functools.cache
def compiled(*arguments: Any) -> keras.Model:
    """One compiled network for all trainings that differ in numbers only."""
    model = build(*arguments)
    kind, options, _ = OPTIMIZERS[arguments[0].optimizer]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(kind(0.1, **options), loss)
    model.optimizer.build(model.trainable_variables)
    return model


class StopOfProgress(keras.callbacks.Callback):
    """Lets the rate fade away once a share of the first loss is left."""

    def __init__(self, rate: float, share: float):
        super().__init__()
        self.rate = self.best = rate
        self.share = share
        self.losses: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        mean = float(logs["loss"])  # of the epoch so far
        before = self.mean * batch if batch else 0.0
        self.mean = mean
        self.losses.append(mean * (batch + 1) - before)
        is_left = np.mean(self.losses[-5:]) < self.losses[0] * self.share
        if is_left or self.rate < self.best:
            self.rate = max(self.rate * 0.7, self.best / 1000)
            self.model.optimizer.learning_rate = self.rate

    def on_train_begin(self, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = self.rate


def begin_anew(model: keras.Model, start: keras.Model, kernels: float) -> None:
    """Gives a trained network new weights, and an optimizer without past."""
    for variable, value in zip(model.variables, start.variables, strict=True):
        is_kernel = variable.name == "kernel"
        variable.assign(value.value * kernels if is_kernel else value.value)
    for variable in model.optimizer.variables:
        if variable is not model.optimizer.learning_rate:
            variable.assign(keras.ops.zeros_like(variable.value))


def batches(
    x: np.ndarray, y: np.ndarray, size: int, seed: int | None = None
) -> tf.data.Dataset:
    """Batches without end, shuffled where there is a seed.

    Given arrays, `fit` plans their reading anew in each epoch, which takes
    longer than these epochs.
    """
    data = tf.data.Dataset.from_tensor_slices((x, y))
    if seed is not None:
        data = data.shuffle(len(x), seed=seed)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return data.batch(size).repeat().with_options(options)


def train(
    setting: Setting, change: Change, best: float, seed: int
) -> dict[str, Any]:
    """Trains once; returns what CurveDiagnosis recorded.

    `reached` is the loss of the training examples in the end, at inference
    and without the penalty of regularisers.
    """
    keras.utils.set_random_seed(seed)
    x, y = examples(setting)
    learn = np.arange(len(x) - VALIDATION)
    if change.per_class:
        groups = [learn[y[learn] == label] for label in np.unique(y)]
        learn = np.concatenate([g[: change.per_class] for g in groups])
    capacity = (change.width, change.dropout, change.l2)
    arguments = setting, x.shape[1:], int(y.max()) + 1, capacity
    model = compiled(*arguments)
    begin_anew(model, build(*arguments), change.kernels)
    rates = SCHEDULES[change.schedule]
    diagnosis = CurveDiagnosis(say=lambda sentence: None)
    callbacks = [
        diagnosis,
        keras.callbacks.LearningRateScheduler(
            lambda epoch, rate: best * change.rate * rates(epoch)
        ),
    ]
    if change.stops:
        callbacks[1] = StopOfProgress(best, change.stops)
    model.fit(
        batches(x[learn], y[learn], BATCH, seed),
        epochs=EPOCHS,
        shuffle=False,  # `batches` does
        steps_per_epoch=math.ceil(len(learn) / BATCH),
        validation_data=batches(x[-VALIDATION:], y[-VALIDATION:], VALIDATION),
        validation_steps=1,
        callbacks=callbacks,
        verbose=0,
    )
    curve = dataclasses.asdict(diagnosis.curve())
    whole = batches(x[learn], y[learn], len(learn))
    loss = model.evaluate(whole, steps=1, verbose=0)
    return {**curve, "reached": loss - curve["last_penalty"]}


def finite(value: float) -> float:
    """A loss that can be compared."""
    return value if math.isfinite(value) else math.inf


def last(curve: dict[str, Any]) -> float:
    return finite(curve["loss"][-1])


def validated(curve: dict[str, Any]) -> float:
    return finite(curve["val_loss"][-1])


def reached(curve: dict[str, Any]) -> float:
    return finite(curve["reached"])


def minimised(curve: dict[str, Any]) -> float:
    return finite(curve["reached"] + curve["last_penalty"])


class Trainer:
    """Trains a setting again and again, each time with the next seed.

    Args:
        setting: What is trained.

    Attributes:
        best: The best rate.
        twin: The healthy training that found it.
    """

    def __init__(self, setting: Setting):
        self.setting = setting
        top = OPTIMIZERS[setting.optimizer][2]
        rates = [top / 10 ** (step / 2) for step in range(STEPS)]
        curves = {r: train(setting, Change(), r, setting.seed) for r in rates}
        self.best = min(rates, key=lambda rate: validated(curves[rate]))
        self.twin = curves[self.best]
        self.seeds = iter(range(100 * setting.seed, 100 * setting.seed + 80))

    def run(self, truth: str, what: Any, *changes: Change) -> dict[str, Any]:
        """A training; of several, the one that minimised best."""
        name = f"{self.setting.data}, {self.setting.optimizer}, {what}"
        seed = next(self.seeds)
        curves = [train(self.setting, x, self.best, seed) for x in changes]
        return {"name": name, "truth": truth, **min(curves, key=minimised)}

    def run_at_own_rate(
        self, truth: str, what: str, change: Change
    ) -> dict[str, Any]:
        """Another network needs another rate; that is not what is wrong."""
        changes = (dataclasses.replace(change, rate=r) for r in OWN_RATES)
        return self.run(truth, what, *changes)

    def shows(
        self, curve: dict[str, Any], loss: Callable[[dict[str, Any]], float]
    ) -> bool:
        """Whether a loss ends so far above that of the twin that one sees."""
        return loss(curve) >= 2 * loss(self.twin) + 0.05 * curve["chance"]


def trainings(setting: Setting) -> Iterator[dict[str, Any]]:
    """4 healthy trainings of a setting and 12 faulty ones."""
    trainer = Trainer(setting)
    for schedule in ("constant", "cosine", "constant", "cosine"):
        yield trainer.run("healthy", schedule, Change(schedule=schedule))
    faulty = 0
    for make_some in (wrong_rates, wrong_starts, wrong_networks, plateaus):
        for curve in make_some(trainer):
            faulty += 1
            yield curve
    numbers = itertools.count(faulty)
    while faulty < 12:  # where a fault could not be made
        again = overfitting if next(numbers) % 2 else plateaus
        for curve in again(trainer, ", again"):
            faulty += 1
            yield curve


def wrong_rates(trainer: Trainer) -> Iterator[dict[str, Any]]:
    for _ in range(2):
        for factor in (3, 10, 30, 100, 300):
            curve = trainer.run("rate too high", factor, Change(rate=factor))
            first = curve["first"]
            least = 2 * last(trainer.twin) + 0.05 * first
            if least <= last(curve) <= 1.5 * first:
                yield curve
                break
    for part in (100, 300):
        curve = trainer.run("rate too low", f"1/{part}", Change(rate=1 / part))
        if trainer.shows(curve, reached):
            yield curve
    for _ in range(2):
        for factor in (10, 100, 1000, 10000):
            curve = trainer.run("diverging", factor, Change(rate=factor))
            if last(curve) >= 5 * curve["first"]:
                yield curve
                break


def wrong_starts(trainer: Trainer) -> Iterator[dict[str, Any]]:
    yield trainer.run("bad initialisation", 10, Change(kernels=10))
    for factor in (0.01, 0.03, 0.1, 0.3):
        change = Change(kernels=factor)
        curve = trainer.run("bad initialisation", factor, change)
        if last(curve) <= curve["first"] / 2:
            yield curve
            break


def wrong_networks(trainer: Trainer) -> Iterator[dict[str, Any]]:
    yield from overfitting(trainer)
    kinds = (
        ("one unit", Change(width=0)),
        ("dropout", Change(dropout=0.8)),
        ("L2", Change(l2=0.1)),
    )
    for number in (trainer.setting.seed, trainer.setting.seed + 1):
        what, change = kinds[number % 3]
        curve = trainer.run_at_own_rate("underfitting", what, change)
        if trainer.shows(curve, reached):
            yield curve


def overfitting(trainer: Trainer, again: str = "") -> Iterator[dict[str, Any]]:
    change, what = Change(per_class=4, width=8), "4 for each class" + again
    curve = trainer.run_at_own_rate("overfitting", what, change)
    if trainer.shows(curve, validated) and not trainer.shows(curve, reached):
        yield curve


def plateaus(trainer: Trainer, again: str = "") -> Iterator[dict[str, Any]]:
    for what, share in (("half", 0.5), ("0.7", 0.7), ("0.9", 0.9)):
        change = Change(stops=share)
        curve = trainer.run("plateau", what + again, change)
        if trainer.shows(curve, reached):
            yield curve
            break


def rounded(value: Any) -> Any:
    """A value for JSON, with six digits; what is not finite becomes null."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(x) for x in value] if isinstance(value, list) else value


def make(part: str) -> None:
    """Trains and writes one part."""
    curves = []
    for setting in SETTINGS[part]:
        for curve in trainings(setting):
            curves.append(rounded(curve))
            print(part, len(curves), curve["name"], flush=True)
        CURVES.mkdir(exist_ok=True)
        lines = ",\n".join(json.dumps(curve) for curve in curves)
        (CURVES / f"{part}.json").write_text(f"[\n{lines}\n]\n")


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the program."""

    part: Part
    """What to train and store."""
    fashion: Path = Path("/usr/share/datasets/fashion-mnist")
    """Folder with the four files of Fashion-MNIST."""


def main(config: Config) -> None:
    FASHION[:] = [config.fashion]
    make(config.part)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
