"""What each technique is worth: the same network with it and without it.

    python benchmarks/evidence.py --data cifar10.npz
    python benchmarks/evidence.py --data cifar10.npz --judge validation

Trains each variant of a row of `ROWS` with the same seeds, that is with the
same first weights, images, order and augmentation, and prints the test error
of each, and how far it lies from the first variant's: the mean of the
differences seed by seed, with its 95 % interval (Student's t).

Images are CIFAR-10's, averaged down to `size` pixels, the first `images` of
its training part; they are shifted by up to an eighth and mirrored. Rates fall
by half a cosine, weights decay, momentum is Nesterov's. No test image is read
but by a finished network, once. `--judge validation` measures on 10,000
training images that are never learned from: settings are looked for with it.

Every trained network is a line of `--out`, a CSV file: a stopped benchmark goes
on where it was, and what has been measured is only printed. `--data` is a file
with `x_train`, `y_train`, `x_test` and `y_test`; without it Keras downloads
CIFAR-10. Under JAX and PyTorch the same program uses a GPU that is there.
"""

import csv
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tyro
from rich.progress import track
from scipy import stats

import dropzoo
from dropzoo.callbacks import SnapshotEnsemble
from dropzoo.models import create_model, predict_samples
from dropzoo.schedules import SnapshotCosine

VALIDATION, CYCLES, PASSES = 10_000, 5, 10


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all variants of a row have in common.

    Args:
        network: A name of the catalogue.
        epochs: How often each training image is seen.
        rate: The first learning rate.
        images: Training images.
        size: Height and width of an image, which divides 32.
        batch_size: Images of a step.
        weight_decay: As in `keras.optimizers.SGD`.
        options: Further arguments of `create_model`.
    """

    network: str
    epochs: int
    rate: float = 0.1
    images: int = 1_000
    size: int = 16
    batch_size: int = 64
    weight_decay: float = 5e-4
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        options = "".join(f", {name} {value}" for name, value in self.options)
        return (
            f"{self.network}{options}, {self.images} images of {self.size} "
            f"pixels, {self.epochs} epochs, batches of {self.batch_size}, "
            f"rate {self.rate}, decay {self.weight_decay}"
        )


class Images(NamedTuple):
    """uint8 images `(n, size, size, 3)` and labels `(n,)`."""

    train: tuple[np.ndarray, np.ndarray]
    judge: tuple[np.ndarray, np.ndarray]


class Result(NamedTuple):
    """What one trained network gave, under the name of a variant."""

    variant: str
    error: float
    epochs: int
    seconds: float
    epoch_time: float | None = None


class ShiftedAndMirrored(keras.utils.PyDataset):
    """Batches whose order and changes depend on seed, epoch and place only."""

    def __init__(self, images: Images, setting: Setting, seed: int):
        super().__init__()
        self.x, self.y = images.train
        self.setting, self.seed, self.epoch = setting, seed, 0

    def __len__(self) -> int:
        return len(self.y) // self.setting.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        number = self.setting.batch_size
        order = np.random.default_rng((self.seed, self.epoch))
        rows = order.permutation(len(self.y))[index * number :][:number]
        size, margin = self.setting.size, self.setting.size // 8
        rng = np.random.default_rng((self.seed, self.epoch, index))
        top, left = rng.integers(2 * margin + 1, size=(2, number))
        padding = ((0, 0), (margin, margin), (margin, margin), (0, 0))
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(self.x[rows], padding), (size, size), axis=(1, 2)
        )
        batch = windows[np.arange(number), top, left].transpose(0, 2, 3, 1)
        mirrored = rng.random(number) < 0.5
        batch[mirrored] = batch[mirrored, :, ::-1]
        return batch.astype("float32"), self.y[rows]

    def on_epoch_end(self) -> None:
        self.epoch += 1


def compiled(
    setting: Setting, seed: int, steps: int, *, cycles: int = 1, **options: Any
) -> keras.Model:
    """Builds a network, whose rate falls `cycles` times."""
    keras.utils.set_random_seed(seed)
    model = create_model(
        setting.network,
        num_classes=10,
        input_shape=(setting.size, setting.size, 3),
        seed=seed,
        **dict(setting.options),
        **options,
    )
    model.compile(
        keras.optimizers.SGD(
            SnapshotCosine(setting.rate, steps, cycles),
            momentum=0.9,
            nesterov=True,
            weight_decay=setting.weight_decay,
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


def train(
    setting: Setting,
    images: Images,
    seed: int,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **options: Any,
) -> tuple[keras.Model, float]:
    """Trains a network; returns it and the seconds it took."""
    batches = ShiftedAndMirrored(images, setting, seed)
    steps = setting.epochs * len(batches)
    model = compiled(setting, seed, steps, **options)
    start = time.perf_counter()
    model.fit(
        batches,
        epochs=setting.epochs,
        shuffle=False,
        callbacks=list(callbacks),
        verbose=0,
    )
    return model, time.perf_counter() - start


def error_of(scores: np.ndarray, labels: np.ndarray) -> float:
    return float((scores.argmax(1) != labels).mean())


def error(model: keras.Model, images: Images) -> float:
    x, labels = images.judge
    scores = model.predict(x, batch_size=250, verbose=0)
    return error_of(scores, labels)


def plain(
    variant: str, setting: Setting, images: Images, seed: int, **options: Any
) -> Iterator[Result]:
    """One network as it is."""
    model, seconds = train(setting, images, seed, **options)
    yield Result(variant, error(model, images), setting.epochs, seconds)


def snapshots(
    variant: str, setting: Setting, images: Images, seed: int
) -> Iterator[Result]:
    """A network for each cycle of one training, averaged."""
    with TemporaryDirectory() as folder:
        keeper = SnapshotEnsemble(folder)
        model, seconds = train(
            setting, images, seed, callbacks=[keeper], cycles=CYCLES
        )
        averaged = error(keeper.ensemble(), images)
    yield Result(variant, averaged, setting.epochs, seconds)
    yield Result(
        "its last snapshot alone", error(model, images), setting.epochs, seconds
    )


def as_long(
    variant: str, setting: Setting, images: Images, seed: int, **options: Any
) -> Iterator[Result]:
    """A network whose epochs are shorter, trained for as long by the clock."""
    share = epoch_time(setting, images, seed, **options)
    longer = dataclasses.replace(setting, epochs=round(setting.epochs / share))
    model, seconds = train(longer, images, seed, **options)
    wrong = error(model, images)
    yield Result(variant, wrong, longer.epochs, seconds, share)


def epoch_time(
    setting: Setting, images: Images, seed: int, **options: Any
) -> float:
    """The time of an epoch as a share of what the plain network takes.

    A step of the one, a step of the other, a hundred times.
    """
    batches = ShiftedAndMirrored(images, setting, seed)
    models = [compiled(setting, seed, 1, **each) for each in ({}, options)]
    seconds = np.zeros((len(models), 105))
    for step in range(seconds.shape[1]):
        batch = batches[step % len(batches)]
        for row, model in zip(seconds, models, strict=True):
            start = time.perf_counter()
            model.train_on_batch(*batch)
            row[step] = time.perf_counter() - start
    one, other = seconds[:, 5:]  # The first ones compile.
    return float(np.median(other) / np.median(one))


def fractional(
    variant: str, setting: Setting, images: Images, seed: int
) -> Iterator[Result]:
    """Fractional max pooling, with one set of regions and with several."""
    model, seconds = train(setting, images, seed, pooling="fractional")
    epochs = setting.epochs
    yield Result(f"{variant}, one pass", error(model, images), epochs, seconds)
    x, labels = images.judge
    mean, _ = predict_samples(
        model, x, PASSES, activation="softmax", batch_size=250, seed=seed
    )
    yield Result(
        f"{variant}, {PASSES} passes", error_of(mean, labels), epochs, seconds
    )


PLAIN = "single run, constant depth"  # Rows of one setting share it.
DROPS = {"stochastic_depth": 0.5, "skip": True}


class Row(NamedTuple):
    """A setting, and the variants that are compared; the first is plain."""

    setting: Setting
    variants: dict[str, Callable[..., Iterator[Result]]]


ROWS = {
    "snapshot": Row(
        Setting("resnet20_cifar", 100),
        {PLAIN: plain, "snapshot ensemble": snapshots},
    ),
    "depth": Row(
        Setting("resnet32_cifar", 60, rate=0.03),
        {
            PLAIN: plain,
            "stochastic depth": functools.partial(plain, **DROPS),
            "stochastic depth, equal time": functools.partial(as_long, **DROPS),
        },
    ),
    "longer_depth": Row(
        Setting("resnet32_cifar", 240, rate=0.03),
        {
            PLAIN: plain,
            "stochastic depth, 240 epochs": functools.partial(plain, **DROPS),
        },
    ),
    "pooling": Row(
        Setting(
            "stochastic_pooling_cnn", 100, rate=0.01, options=(("filters", 32),)
        ),
        {
            "max pooling": functools.partial(plain, pooling="max"),
            "average pooling": functools.partial(plain, pooling="average"),
            "stochastic pooling": plain,
            "fractional max pooling": fractional,
        },
    ),
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    data: Path | None = None
    """CIFAR-10 as a .npz file. None: Keras downloads it."""
    row: Literal["snapshot", "depth", "longer_depth", "pooling"] | None = None
    """One row only."""
    seeds: int = 5
    """Trainings of each variant."""
    judge: Literal["test", "validation"] = "test"
    """Images that errors are measured on."""
    out: Path = Path(__file__).with_name("evidence.csv")
    """File that results are appended to."""
    picture: Path | None = None
    """Where to draw all differences, a .png file."""


class Line(NamedTuple):
    """A line of the file of results, all of it text."""

    setting: str
    judge: str
    job: str
    seed: str
    variant: str
    error: str
    epochs: str
    seconds: str
    epoch_time: str
    version: str
    backend: str


def load(config: Config, setting: Setting) -> Images:
    """Reads what a setting learns from and is judged on."""
    if config.data is None:
        train, test = keras.datasets.cifar10.load_data()
    else:
        with np.load(config.data) as file:
            train, test = (
                (file[f"x_{part}"], file[f"y_{part}"])
                for part in ("train", "test")
            )
    parts = {
        "train": (train[0][: setting.images], train[1][: setting.images]),
        "validation": (train[0][-VALIDATION:], train[1][-VALIDATION:]),
        "test": test,
    }
    step = 32 // setting.size

    def prepared(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        blocks = x.reshape(len(x), setting.size, step, setting.size, step, 3)
        return blocks.mean((2, 4)).round().astype("uint8"), y.reshape(-1)

    return Images(prepared(*parts["train"]), prepared(*parts[config.judge]))


def read(config: Config) -> list[Line]:
    if not config.out.is_file():
        return []
    with config.out.open(newline="") as file:
        return [Line(**line) for line in csv.DictReader(file)]


def append(config: Config, lines: list[Line]) -> None:
    config.out.parent.mkdir(parents=True, exist_ok=True)
    is_new = not config.out.is_file()
    with config.out.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([Line._fields, *lines] if is_new else lines)


def measure(config: Config, name: str) -> None:
    """Trains what is missing of a row, seed by seed."""
    row = ROWS[name]
    done = {line[:4] for line in read(config)}
    jobs = [
        (str(row.setting), config.judge, job, str(seed))
        for seed in range(config.seeds)
        for job in row.variants
    ]
    missing = [job for job in jobs if job not in done]
    if not missing:
        return
    images = load(config, row.setting)
    version, backend = dropzoo.__version__, keras.backend.backend()
    for job in track(missing, description=name):
        variant, seed = job[2], int(job[3])
        found = row.variants[variant](variant, row.setting, images, seed)
        append(config, [_line(job, each, version, backend) for each in found])
        keras.backend.clear_session()


def _line(
    job: tuple[str, ...], result: Result, version: str, backend: str
) -> Line:
    time = "" if result.epoch_time is None else f"{result.epoch_time:.4f}"
    return Line(
        *job,
        result.variant,
        f"{result.error:.4f}",
        str(result.epochs),
        f"{result.seconds:.1f}",
        time,
        version,
        backend,
    )


class Comparison(NamedTuple):
    """A variant beside the first one of its row, in points of a hundred.

    Args:
        variant: Its name.
        errors: Of each seed, in percent.
        differences: From the first variant, of each seed that both have; none
            for the first variant itself.
        epochs: How many epochs networks were trained for.
        epoch_time: Of an epoch, as a share of the first variant's.
    """

    variant: str
    errors: dict[str, float]
    differences: list[float]
    epochs: list[int]
    epoch_time: float | None

    @property
    def half_width(self) -> float:
        """Of the 95 % interval of the mean difference (Student's t)."""
        quantile = stats.t.ppf(0.975, len(self.differences) - 1)
        return float(quantile * stats.sem(self.differences))


def compare(config: Config, name: str) -> list[Comparison]:
    """Reads what has been measured of a row."""
    setting, variants = ROWS[name]
    found: dict[str, list[Line]] = {}
    for line in read(config):
        asked = line[:2] == (str(setting), config.judge)
        if asked and line.job in variants:
            found.setdefault(line.variant, []).append(line)
    comparisons: list[Comparison] = []
    for variant, lines in found.items():
        errors = {line.seed: 100 * float(line.error) for line in lines}
        plain = comparisons[0].errors if comparisons else {}
        times = [float(line.epoch_time) for line in lines if line.epoch_time]
        comparisons.append(
            Comparison(
                variant,
                errors,
                [
                    errors[seed] - plain[seed]
                    for seed in errors
                    if seed in plain
                ],
                sorted({int(line.epochs) for line in lines}),
                float(np.mean(times)) if times else None,
            )
        )
    return comparisons


def print_table(config: Config, name: str) -> None:
    """Prints errors and paired differences of a row, in points of a hundred."""
    rows = [
        [
            name,
            "seeds",
            f"{config.judge} error, %",
            "difference, points",
            "epochs",
            "time of an epoch",
        ]
    ]
    rows.append(["---"] * len(rows[0]))
    for each in compare(config, name):
        time = each.epoch_time
        rows.append(
            [
                each.variant,
                str(len(each.errors)),
                f"{np.mean(list(each.errors.values())):.2f}",
                f"{np.mean(each.differences):+.2f} ± {each.half_width:.2f}"
                if len(each.differences) > 1
                else "",
                " ".join(map(str, each.epochs)),
                "" if time is None else f"{time:.3f}",
            ]
        )
    for cells in rows:
        print(f"| {' | '.join(cells)} |")
    print(f"\n{ROWS[name].setting}\n")


def draw(config: Config, names: list[str], path: Path) -> None:
    """Draws the differences of all rows with their intervals."""
    import matplotlib.pyplot as plt

    rows = [x for name in names for x in compare(config, name)]
    rows = [x for x in rows if len(x.differences) > 1]
    figure, axes = plt.subplots(
        figsize=(6.4, 0.9 + 0.4 * len(rows)), layout="constrained"
    )
    for place, each in enumerate(rows):
        centre = float(np.mean(each.differences))
        axes.errorbar(
            centre, place, xerr=each.half_width, fmt="ko", capsize=4, zorder=2
        )
        axes.plot(
            each.differences, [place] * len(each.differences), "o", alpha=0.4
        )
    axes.axvline(0, color="0.6", linewidth=1, zorder=0)
    axes.set_yticks(range(len(rows)), [each.variant for each in rows])
    axes.invert_yaxis()
    figure.supxlabel(
        "change of the error in points: seeds, mean, 95 % interval", size=10
    )
    figure.savefig(path, dpi=130)


def main(config: Config) -> None:
    """Measures what is missing and prints the tables."""
    names = [config.row] if config.row else list(ROWS)
    for name in names:
        measure(config, name)
    for name in names:
        print_table(config, name)
    if config.picture:
        draw(config, names, config.picture)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
