"""How often CurveDiagnosis is right about trainings with a known fault.

    python benchmarks/curve_diagnosis.py                 # prints the table
    python benchmarks/curve_diagnosis.py --make held_out --fashion FOLDER

Small networks are trained with one fault each. What is wrong is known by
construction, not by looking at the curve:

- best: for each setting of data, network and optimizer, five rates, each
  about three times the next, train 20 epochs; the best has the lowest last
  validation loss;
- healthy: the best rate, constant or falling by a half cosine;
- rate too high: the smallest of 3, 10, 30, 100 and 300 times the best rate
  that ends with a training loss of at least twice the best plus a twentieth
  of the loss of its first step, and of at most 1.5 times that;
- rate too low: 1/100 or 1/300 of the best rate;
- diverging: the smallest of 10, 100, 1000 and 10000 times the best rate whose
  loss is not finite in the end or at least 5 times the loss of the first step;
- bad initialisation: all kernels times 10; or times the smallest of 0.3, 0.1,
  0.03 and 0.01 that still learns half of the first loss away;
- overfitting: 4 training examples for each class, a network 8 times as wide;
- underfitting: one unit in each hidden layer, dropout of 0.8 behind each, or
  an L2 penalty of 0.1 on all kernels;
- plateau: once five batches have half of the first loss, the rate falls by 0.7
  in each step, to a thousandth of the best.

Where a setting does not diverge, or not with any of the factors, its 12 faulty
trainings are filled up with plateaus and overfitting of other seeds.

The first two parts chose the numbers in callbacks/curve_faults.py. The held-out
part has other data, networks, optimizers and seeds, and was read once, when the
numbers were final. The first held-out part had been meant for that; the rules
that only the tuning part had chosen failed on it. Fashion-MNIST is Debian's
`dataset-fashion-mnist`.
"""

import dataclasses
import functools
import gzip
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tyro
from keras import layers
from sklearn import datasets

from dropzoo.callbacks import CurveDiagnosis
from dropzoo.callbacks.curve_faults import diagnose
from dropzoo.callbacks.loss_curve import LossCurve

CURVES = Path(__file__).parents[1] / "tests" / "callbacks" / "curves"
FAULTS = (
    "healthy",
    "rate too high",
    "rate too low",
    "diverging",
    "bad initialisation",
    "overfitting",
    "underfitting",
    "plateau",
)
HEADS = ("none", "high", "low", "diverges", "init", "over", "under", "plateau")
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


HELD_OUT = (
    Setting("wine_and_noise", (32, 32), "elu", "momentum", 21),
    Setting("tumours_and_noise", (48, 24), "relu", "adamw", 22),
    Setting("roll", (40, 40, 40), "tanh", "adam", 23),
    Setting("shoes", (8, 16), "relu", "rmsprop", 24),
    Setting("rings", (64, 32), "relu", "nesterov", 25),
)
SETTINGS = {
    "tuning": TUNING,
    "first_held_out": FIRST_HELD_OUT,
    "held_out": HELD_OUT,
}
Part = Literal["tuning", "first_held_out", "held_out"]


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
    x, y = read_fashion("train")
    chosen = np.isin(y, (5, 7, 9))
    return rows_and_labels(x[chosen], (y[chosen] - 5) // 2, seed)


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
}
SCHEDULES = {
    "constant": lambda epoch: 1.0,
    "cosine": lambda epoch: 0.5 + 0.5 * math.cos(math.pi * epoch / EPOCHS),
}
STEPS = 5  # rates of the search, downwards


@dataclasses.dataclass(frozen=True)
class Change:
    """What a training does otherwise than the healthy one.

    Args:
        rate: Factor on the best rate.
        schedule: A name in `SCHEDULES`.
        stops: Whether the rate falls to next to nothing on the way.
        kernels: Factor on the first kernels.
        per_class: Training examples of each class; None takes all.
        width: Factor on the hidden layers; 0 leaves one unit.
        dropout: Rate behind each hidden layer.
        l2: Penalty of all kernels.
    """

    rate: float = 1
    schedule: str = "constant"
    stops: bool = False
    kernels: float = 1
    per_class: int | None = None
    width: int = 1
    dropout: float = 0
    l2: float = 0


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
    """Lets the rate fade away once half of the first loss is learned."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = self.best = rate
        self.losses: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        mean = float(logs["loss"])  # of the epoch so far
        before = self.mean * batch if batch else 0.0
        self.mean = mean
        self.losses.append(mean * (batch + 1) - before)
        is_half = np.mean(self.losses[-5:]) < self.losses[0] / 2
        if is_half or self.rate < self.best:
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


def train(
    setting: Setting, change: Change, best: float, seed: int
) -> dict[str, Any]:
    """Trains once; returns what CurveDiagnosis recorded."""
    keras.utils.set_random_seed(seed)
    x, y = DATA[setting.data](setting.seed)
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
        callbacks[1] = StopOfProgress(best)
    model.fit(
        x[learn],
        y[learn],
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=(x[-VALIDATION:], y[-VALIDATION:]),
        callbacks=callbacks,
        verbose=0,
    )
    return dataclasses.asdict(diagnosis.curve())


def last(curve: dict[str, Any], key: str = "loss") -> float:
    """The last loss; infinite where it is not finite."""
    return curve[key][-1] if math.isfinite(curve[key][-1]) else math.inf


def best_rate(setting: Setting) -> tuple[float, dict[str, Any]]:
    """The rate with the lowest last validation loss, and its curve."""
    top = OPTIMIZERS[setting.optimizer][2]
    rates = [top / 10 ** (step / 2) for step in range(STEPS)]
    curves = {r: train(setting, Change(), r, setting.seed) for r in rates}
    rate = min(rates, key=lambda r: last(curves[r], "val_loss"))
    return rate, curves[rate]


def trainings(setting: Setting) -> Iterator[dict[str, Any]]:
    """4 healthy trainings of a setting and 12 faulty ones."""
    best, reference = best_rate(setting)
    seeds = iter(range(100 * setting.seed, 100 * setting.seed + 80))

    def run(truth: str, what: Any, change: Change) -> dict[str, Any]:
        name = f"{setting.data}, {setting.optimizer}, {what}"
        curve = train(setting, change, best, next(seeds))
        return {"name": name, "truth": truth, **curve}

    for schedule in ("constant", "cosine", "constant", "cosine"):
        yield run("healthy", schedule, Change(schedule=schedule))
    faulty = 0
    for curve in faulty_trainings(setting, reference, run):
        faulty += 1
        yield curve
    for number in range(faulty, 12):  # where a fault could not be made
        if number % 2:
            change = Change(per_class=4, width=8)
            yield run("overfitting", "4 for each class, again", change)
        else:
            yield run("plateau", "half, again", Change(stops=True))


def faulty_trainings(
    setting: Setting, reference: dict[str, Any], run: Callable[..., Any]
) -> Iterator[dict[str, Any]]:
    for _ in range(2):
        for factor in (3, 10, 30, 100, 300):
            curve = run("rate too high", factor, Change(rate=factor))
            first = curve["first"]
            least = 2 * last(reference) + 0.05 * first
            if least <= last(curve) <= 1.5 * first:
                yield curve
                break
    for factor in (100, 300):
        yield run("rate too low", f"1/{factor}", Change(rate=1 / factor))
    for _ in range(2):
        for factor in (10, 100, 1000, 10000):
            curve = run("diverging", factor, Change(rate=factor))
            if last(curve) >= 5 * curve["first"]:
                yield curve
                break
    yield run("bad initialisation", 10, Change(kernels=10))
    for factor in (0.01, 0.03, 0.1, 0.3):
        curve = run("bad initialisation", factor, Change(kernels=factor))
        if last(curve) <= curve["first"] / 2:
            yield curve
            break
    change = Change(per_class=4, width=8)
    yield run("overfitting", "4 for each class", change)
    weak = (
        ("one unit", Change(width=0)),
        ("dropout", Change(dropout=0.8)),
        ("L2", Change(l2=0.1)),
    )
    for number in (setting.seed, setting.seed + 1):
        yield run("underfitting", *weak[number % 3])
    yield run("plateau", "half", Change(stops=True))


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


def read(part: str) -> list[tuple[str, str, LossCurve]]:
    """Truth, name and curve of each training of a part."""
    numbers = [field.name for field in dataclasses.fields(LossCurve)]
    return [
        (
            entry["truth"],
            entry["name"],
            LossCurve(**{name: with_nan(entry[name]) for name in numbers}),
        )
        for entry in json.loads((CURVES / f"{part}.json").read_text())
    ]


def with_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [math.nan if x is None else x for x in value]
    return value


def table(part: str) -> str:
    """What was found for what was wrong."""
    curves = read(part)
    found = Counter(
        (truth, diagnose(curve).fault) for truth, _, curve in curves
    )
    faulty = sum(truth != "healthy" for truth, _, _ in curves)
    right = sum(found[fault, fault] for fault in FAULTS[1:])
    healthy = len(curves) - faulty
    alarms = healthy - found["healthy", "healthy"]
    heads = "".join(f"{head:>9}" for head in HEADS)
    rows = (
        f"{truth:20}"
        + "".join(f"{found[truth, fault] or '.':>9}" for fault in FAULTS)
        for truth in FAULTS
    )
    return "\n".join(
        (
            f"{part + ': found':20}{heads}",
            *rows,
            f"Right: {right} of {faulty} faulty ({right / faulty:.1%}).",
            f"False alarms: {alarms} of {healthy} healthy.",
        )
    )


def show(part: str) -> None:
    """Prints the table and each mistake."""
    print(table(part))
    for truth, name, curve in read(part):
        if diagnose(curve).fault != truth:
            print(f"{truth} ({name}), found {diagnose(curve).sentence}")


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the program."""

    make: Part | None = None
    """Train and store this part, instead of printing a table."""
    show: Part = "held_out"
    """Part whose table is printed."""
    fashion: Path = Path("/usr/share/datasets/fashion-mnist")
    """Folder with the four files of Fashion-MNIST."""


def main(config: Config) -> None:
    FASHION[:] = [config.fashion]
    if config.make:
        make(config.make)
    else:
        show(config.show)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
