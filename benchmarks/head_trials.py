"""How long trials of heads on cached features take, and what they remember.

    python benchmarks/head_trials.py
    python benchmarks/head_trials.py --hidden-units 128 --trials 100

Searches heads on random features of the size of 300 photos that a network has
seen, in one process, and prints seconds for a trial and how much the process
grows by: with the hypermodel alone, in `CoarseToFine` and in KerasTuner's
`RandomSearch`, which write files for every trial, and in the latter when every
trial compiles a model of its own, as is usual.
"""

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import keras_tuner
import numpy as np
import psutil
import tyro
from rich.console import Console
from rich.table import Table

from dropzoo.search import CoarseToFine, HeadHyperModel, SearchSpace


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the measurement."""

    examples: int = 300
    """Rows of features."""
    features: int = 1280
    """Channels of the features."""
    classes: int = 14
    """Number of classes."""
    hidden_units: int = 0
    """Of a hidden layer; 0 for none."""
    epochs: int = 20
    """Passes over the features in a trial."""
    trials: int = 50
    """Trials of each kind, after one that is not counted."""


def main(config: Config) -> None:
    """Measures and prints the table.

    Args:
        config: The options.
    """
    rng = np.random.default_rng(0)
    shape = (config.examples, config.features)
    x = rng.standard_normal(shape, "float32")
    y = rng.integers(config.classes, size=config.examples)
    held_out = x[: config.examples // 5], y[: config.examples // 5]
    data = {"x": x, "y": y, "validation_data": held_out}
    table = Table("", "seconds for a trial", "MB for a trial")
    for name, run in (
        ("hypermodel alone", _alone),
        ("in CoarseToFine", _in_coarse_to_fine),
        ("in RandomSearch", _in_a_search),
        ("in RandomSearch, a new model each", _compiled_anew),
    ):
        seconds, growth = run(config, data)
        table.add_row(name, f"{seconds:.3f}", f"{growth:.2f}")
    Console().print(table)


def _hypermodel(config: Config) -> HeadHyperModel:
    space = SearchSpace().changed(hidden_units=config.hidden_units)
    return HeadHyperModel(config.features, config.classes, space=space)


def _alone(config: Config, data: dict) -> tuple[float, float]:
    hypermodel = _hypermodel(config)

    def run(trials: int) -> None:
        for number in range(trials):
            hp = keras_tuner.HyperParameters()
            hp.Fixed("peak_rate", 10.0 ** -(2 + number / trials))
            model = hypermodel.build(hp)
            hypermodel.fit(hp, model, **data, epochs=config.epochs)

    return _measured(run, config.trials)


def _in_coarse_to_fine(config: Config, data: dict) -> tuple[float, float]:
    """In one stage that ends no trial early, so that all of them are whole."""
    hypermodel = _hypermodel(config)

    def run(trials: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tuner = CoarseToFine(
                hypermodel,
                max_trials=trials,
                stages=("random",),
                epochs=(config.epochs,),
                stop_hopeless=False,
                in_process=True,
                directory=folder,
                project_name="heads",
            )
            tuner.search(**data, verbose=0)

    return _measured(run, config.trials)


def _in_a_search(config: Config, data: dict) -> tuple[float, float]:
    return _searched(_hypermodel(config), config, data)


def _compiled_anew(config: Config, data: dict) -> tuple[float, float]:
    class Anew(keras_tuner.HyperModel):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            layers: list[keras.Layer] = [keras.Input((config.features,))]
            if config.hidden_units:
                layers += [keras.layers.Dense(config.hidden_units, "relu")]
            layers += [keras.layers.Dense(config.classes)]
            model = keras.Sequential(layers)
            rate = hp.Float("peak_rate", 1e-5, 1e-1, sampling="log")
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            optimizer = keras.optimizers.AdamW(rate)
            model.compile(optimizer, loss, metrics=["accuracy"])
            return model

    return _searched(Anew(), config, {**data, "batch_size": 64})


def _searched(
    hypermodel: keras_tuner.HyperModel, config: Config, data: dict
) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(
            hypermodel,
            objective="val_accuracy",
            max_trials=0,
            seed=1,
            directory=folder,
        )

        def run(trials: int) -> None:
            tuner.oracle.max_trials += trials
            tuner.search(**data, epochs=config.epochs, verbose=0)

        return _measured(run, config.trials)


def _measured(run: Callable[[int], None], trials: int) -> tuple[float, float]:
    """Seconds and megabytes for a trial, the first of which is not counted."""
    run(1)
    memory = psutil.Process().memory_info
    before, start = memory().rss, time.perf_counter()
    run(trials)
    seconds = time.perf_counter() - start
    return seconds / trials, (memory().rss - before) / trials / 1e6


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
