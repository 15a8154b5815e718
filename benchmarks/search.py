"""Searches by `CoarseToFine` beside KerasTuner's own, for equally many epochs.

    python benchmarks/search.py
    python benchmarks/search.py --task network --data FOLDER

Each tuner may train for `BUDGET` times the epochs of a full training: random
search and Bayesian optimization in as many trials, Hyperband and
`CoarseToFine` in more trials of which many are short, until these are spent.
What the best trial found, by validation accuracy, is trained again on training
and validation images, for the epochs of a full training, and measured once on
test images.

Two tasks: heads on cached features of the groceries, judged by two folds, and
a small convolutional network on 2,000 images of Fashion-MNIST (`--data`, a
folder of its IDX files). A seed draws what is learned from and what is judged
by, the same for all tuners, and their trials. Networks are compiled once, and a
trial depends on nothing that ran before it.

Every search is a line of `--out`, a CSV file: a stopped benchmark goes on
where it was, and what has been measured is only printed.
"""

import csv
import dataclasses
import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import keras_tuner
import numpy as np
import tyro
from rich.progress import track
from scipy import stats

import dropzoo
from dropzoo.data import load
from dropzoo.data.examples import concatenate
from dropzoo.data.idx import read_idx
from dropzoo.evaluation import extract_features
from dropzoo.evaluation.feature_scaling import Scaling, as_examples
from dropzoo.evaluation.folds import choose_folds
from dropzoo.models import create_model
from dropzoo.search import CoarseToFine, HeadHyperModel, SearchSpace
from dropzoo.search.adjustable_dropout import AdjustableDropout

BUDGET = 30  # full trainings
LASTS = 0.65  # share of the epochs planned that is left without hopeless ones
BACKBONE, CLASSES = "efficientnet_lite0", 10
LEARNED, JUDGED = 2_000, 1_000  # images of Fashion-MNIST

Labelled = tuple[np.ndarray, np.ndarray]


class Images(NamedTuple):
    """What a search sees, and what comes after it.

    Args:
        searched: Arguments of `search`: what trials learn from and are judged
            by.
        all: Inputs and labels that the best is trained on in the end.
        test: Those that it is measured on.
    """

    searched: dict[str, Any]
    all: Labelled
    test: Labelled


class Counted(keras_tuner.HyperModel):
    """A hypermodel that counts the epochs it has trained for.

    Args:
        inner: What builds and trains.
        budget: Epochs of a search.
    """

    def __init__(self, inner: keras_tuner.HyperModel, budget: int):
        super().__init__()
        self.inner, self.budget, self.epochs = inner, budget, 0

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return self.inner.build(hp)

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args, **kw
    ) -> keras.callbacks.History:
        history = self.inner.fit(hp, model, *args, **kw)
        self.epochs += len(history.epoch)
        return history


class SmallNetwork(keras_tuner.HyperModel):
    """Two convolutions, compiled once; a trial starts from the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.seed = 0
        self._dropout = AdjustableDropout(seed=0)
        self._decay = keras.Variable(0.0, trainable=False)
        convolution = {"strides": 2, "activation": "relu", "padding": "same"}
        self._model = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Conv2D(8, 3, **convolution),
                keras.layers.Conv2D(16, 3, **convolution),
                keras.layers.Flatten(),
                self._dropout,
                keras.layers.Dense(CLASSES),
            ]
        )
        optimizer = keras.optimizers.AdamW()
        optimizer.weight_decay = self._decay
        self._model.compile(
            optimizer,
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            steps_per_execution=20,
        )
        optimizer.build(self._model.trainable_variables)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        rate = hp.Float("rate", 1e-6, 1e-1, sampling="log")
        decay = hp.Float("decay", 1e-5, 1.0, sampling="log")
        dropout = hp.Float("dropout", 0.0, 0.7)
        scale = hp.Float("scale", 0.05, 20.0, sampling="log")
        for variable in self._model.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        for i, variable in enumerate(self._model.trainable_variables):
            draws = keras.initializers.GlorotUniform((self.seed + 1) * 100 + i)
            is_bias = len(variable.shape) == 1
            variable.assign(
                np.zeros(variable.shape)
                if is_bias
                else scale * draws(variable.shape)
            )
        self._dropout.rate.assign(dropout)
        self._dropout.seeds.state.assign((self.seed, 0))
        self._decay.assign(decay)
        self._model.optimizer.learning_rate = rate
        dropzoo.set_deterministic(self.seed)
        return self._model

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args, **kw
    ) -> keras.callbacks.History:
        return model.fit(*args, batch_size=50, **kw)


class Task(NamedTuple):
    """Something to search for, and how long a full training of it is."""

    epochs: int
    short: int  # epochs of a trial of the first stage
    load: Callable[["Config"], Callable[[int], Images]]
    hypermodel: Callable[[Images], keras_tuner.HyperModel]


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    data: Path | None = None
    """Folder of the IDX files of Fashion-MNIST. None: Keras downloads it."""
    task: Literal["heads", "network"] | None = None
    """One task only."""
    seeds: int = 5
    """Searches by each tuner."""
    out: Path = Path(__file__).with_name("search.csv")
    """File that results are appended to."""


def groceries(config: Config) -> Callable[[int], Images]:
    """Features of all photos, those not for testing in two folds by a seed."""
    data = load("groceries")
    backbone = create_model(BACKBONE, weights="imagenet", num_classes=0)

    def features(examples: Any) -> Labelled:
        found = extract_features(backbone, examples, mirrored=False)
        return as_examples(found.read(), examples.labels)

    seen = concatenate([data.train, data.validation])
    (x, y), test = features(seen), features(data.test)
    scaling = Scaling.of(x)
    x, test = scaling(x), (scaling(test[0]), test[1])

    def split(seed: int) -> Images:
        folds = choose_folds(y, y[:0], seed).pairs
        return Images({"x": x, "y": y, "folds": folds}, (x, y), test)

    return split


def fashion(config: Config) -> Callable[[int], Images]:
    """Images of Fashion-MNIST, a small part of which a seed draws."""
    if config.data is None:
        (x, y), test = keras.datasets.fashion_mnist.load_data()
    else:
        (x, y), test = (
            (
                read_idx(config.data / f"{part}-images-idx3-ubyte.gz", 3),
                read_idx(config.data / f"{part}-labels-idx1-ubyte.gz", 1),
            )
            for part in ("train", "t10k")
        )
    x, test = x[..., None], (test[0][..., None], test[1])

    def split(seed: int) -> Images:
        order = np.random.default_rng(seed).permutation(len(y))
        both = order[: LEARNED + JUDGED]
        learn, judge = np.split(both, [LEARNED])
        searched = {"x": x[learn], "y": y[learn]}
        searched["validation_data"] = x[judge], y[judge]
        return Images(searched, (x[both], y[both]), test)

    return split


def heads(images: Images) -> keras_tuner.HyperModel:
    x, y = images.all
    space = SearchSpace().changed(hidden_units=[0, 64])
    return HeadHyperModel(x.shape[1], int(y.max()) + 1, space=space)


TASKS = {
    "heads": Task(10, 2, groceries, heads),
    "network": Task(5, 1, fashion, lambda images: SmallNetwork()),
}


class _Spent(Exception):
    """The epochs of a search are spent."""


class Limited(keras_tuner.Tuner):
    """A tuner that stops when the epochs of its hypermodel are spent."""

    def on_trial_end(self, trial: Any) -> None:
        super().on_trial_end(trial)
        if self.hypermodel.epochs >= self.hypermodel.budget:
            raise _Spent


class LimitedHyperband(Limited, keras_tuner.Hyperband):
    """Hyperband that begins anew until its epochs are spent."""


class LimitedCoarseToFine(Limited, CoarseToFine):
    """`CoarseToFine` with the trials that hopeless ones leave epochs for."""


def random(hypermodel: Counted, task: Task, **kw: Any) -> keras_tuner.Tuner:
    return keras_tuner.RandomSearch(hypermodel, max_trials=BUDGET, **kw)


def bayesian(hypermodel: Counted, task: Task, **kw: Any) -> keras_tuner.Tuner:
    return keras_tuner.BayesianOptimization(hypermodel, max_trials=BUDGET, **kw)


def hyperband(hypermodel: Counted, task: Task, **kw: Any) -> keras_tuner.Tuner:
    return LimitedHyperband(
        hypermodel, max_epochs=task.epochs, hyperband_iterations=99, **kw
    )


def coarse_to_fine(
    hypermodel: Counted, task: Task, *, stages: tuple[str, ...], **kw: Any
) -> keras_tuner.Tuner:
    """Stages of equally many trials, the last one of full trainings."""
    epochs = (task.short, task.epochs)[-len(stages) :]
    planned = len(stages) * (hypermodel.budget // sum(epochs))
    return LimitedCoarseToFine(
        hypermodel,
        max_trials=int(planned / LASTS),
        stages=stages,
        epochs=epochs,
        in_process=True,
        **kw,
    )


TUNERS: dict[str, Callable[..., keras_tuner.Tuner]] = {
    "RandomSearch": random,
    "BayesianOptimization": bayesian,
    "Hyperband": hyperband,
    "CoarseToFine, random and random": functools.partial(
        coarse_to_fine, stages=("random", "random")
    ),
    "CoarseToFine, bayesian": functools.partial(
        coarse_to_fine, stages=("bayesian",)
    ),
}


class Line(NamedTuple):
    """A line of the file of results, all of it text."""

    task: str
    setting: str
    tuner: str
    seed: str
    validation: str
    test: str
    trials: str
    epochs: str
    seconds: str
    values: str
    version: str
    backend: str


def search(
    task: Task, tuner: str, hypermodel: Counted, images: Images, seed: int
) -> tuple[str, ...]:
    """Searches once; returns the measured columns of a line."""
    hypermodel.epochs, hypermodel.inner.seed = 0, seed
    start = time.perf_counter()
    with TemporaryDirectory() as folder:
        made = TUNERS[tuner](
            hypermodel,
            task,
            objective="val_accuracy",
            seed=seed,
            directory=folder,
        )
        own = {} if isinstance(made, Limited) else {"epochs": task.epochs}
        try:
            made.search(**images.searched, verbose=0, **own)
        except _Spent:
            pass
        best = made.oracle.get_best_trials(1)[0]
        trials = len(made.oracle.trials)
    seconds, epochs = time.perf_counter() - start, hypermodel.epochs
    right = _test(task, hypermodel, best.hyperparameters, images)
    values = {
        name: float(f"{v:.3g}") if isinstance(v, float) else v
        for name, v in best.hyperparameters.values.items()
        if not name.startswith("tuner/")
    }
    return (
        f"{best.score:.4f}",
        f"{right:.4f}",
        str(trials),
        str(epochs),
        f"{seconds:.1f}",
        str(values),
    )


def _test(
    task: Task,
    hypermodel: Counted,
    hp: keras_tuner.HyperParameters,
    images: Images,
) -> float:
    """Accuracy on the test images of the best trial, trained again on all."""
    model = hypermodel.build(hp)
    hypermodel.fit(hp, model, *images.all, epochs=task.epochs, verbose=0)
    x, y = images.test
    return float((model.predict_on_batch(x).argmax(axis=1) == y).mean())


def setting(task: Task) -> str:
    return f"{BUDGET * task.epochs} epochs, {task.epochs} in a full training"


def read(config: Config) -> list[Line]:
    if not config.out.is_file():
        return []
    with config.out.open(newline="") as file:
        return [Line(**line) for line in csv.DictReader(file)]


def append(config: Config, line: Line) -> None:
    config.out.parent.mkdir(parents=True, exist_ok=True)
    is_new = not config.out.is_file()
    with config.out.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([Line._fields, line] if is_new else [line])


def measure(config: Config, name: str) -> None:
    """Searches what is missing of a task, seed by seed."""
    task = TASKS[name]
    done = {line[:4] for line in read(config)}
    jobs = [
        (name, setting(task), tuner, str(seed))
        for seed in range(config.seeds)
        for tuner in TUNERS
    ]
    missing = [job for job in jobs if job not in done]
    if not missing:
        return
    split = task.load(config)
    budget = BUDGET * task.epochs
    hypermodel = Counted(task.hypermodel(split(0)), budget)
    about = dropzoo.__version__, keras.backend.backend()
    for job in track(missing, description=name):
        seed = int(job[3])
        found = search(task, job[2], hypermodel, split(seed), seed)
        append(config, Line(*job, *found, *about))


def print_table(config: Config, name: str) -> None:
    """Prints accuracies, and how far they lie from random search's."""
    lines = [x for x in read(config) if x[:2] == (name, setting(TASKS[name]))]
    rows = [
        [
            name,
            "seeds",
            "validation, %",
            "test, %",
            "validation, difference",
            "test, difference",
            "trials",
            "epochs",
            "seconds",
        ]
    ]
    rows.append(["---"] * len(rows[0]))
    plain = {x.seed: x for x in lines if x.tuner == "RandomSearch"}
    for tuner in dict.fromkeys(x.tuner for x in lines):
        of = {x.seed: x for x in lines if x.tuner == tuner}
        mean = {
            column: np.mean([float(getattr(x, column)) for x in of.values()])
            for column in ("validation", "test", "trials", "epochs", "seconds")
        }
        rows.append(
            [
                tuner,
                str(len(of)),
                f"{100 * mean['validation']:.2f}",
                f"{100 * mean['test']:.2f}",
                _difference(of, plain, "validation"),
                _difference(of, plain, "test"),
                *(f"{mean[c]:.0f}" for c in ("trials", "epochs", "seconds")),
            ]
        )
    for cells in rows:
        print(f"| {' | '.join(cells)} |")
    print(f"\n{setting(TASKS[name])}\n")


def _difference(
    of: dict[str, Line], plain: dict[str, Line], column: str
) -> str:
    """The mean paired difference in points, with its 95 % interval."""
    pairs = [
        100 * (float(getattr(of[s], column)) - float(getattr(plain[s], column)))
        for s in of
        if s in plain
    ]
    if of == plain or len(pairs) < 2:
        return ""
    half = stats.t.ppf(0.975, len(pairs) - 1) * stats.sem(pairs)
    return f"{np.mean(pairs):+.2f} ± {half:.2f}"


def main(config: Config) -> None:
    """Measures what is missing and prints the tables.

    Args:
        config: The options.
    """
    names = [config.task] if config.task else list(TASKS)
    for name in names:
        measure(config, name)
    for name in names:
        print_table(config, name)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
