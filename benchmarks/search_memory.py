"""By how much the memory of a search grows with each trial, over 50 trials.

    python benchmarks/search_memory.py [--trials 50]

Prints the growth of the resident memory of the process that searches, in MB
for each trial after the first five: of KerasTuner's `RandomSearch`, whose
trials run in that process, and of `CoarseToFine`, whose trials run in
processes that are replaced. Each is measured in a process of its own. The
network has two layers, the data are 256 random rows, an epoch is two batches.
"""

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import keras_tuner
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from dropzoo.search import CoarseToFine

SETTLED = 5  # trials after which libraries have made what they make once
MEGABYTE = 1e6


class Perceptron(keras_tuner.HyperModel):
    """Two layers on 20 features."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
        units = hp.Int("units", 16, 64, step=16)
        layers = [keras.layers.Dense(units, "relu"), keras.layers.Dense(2)]
        model = keras.Sequential([keras.Input((20,)), *layers])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        return model


class WatchedRandomSearch(keras_tuner.RandomSearch):
    """Notes the memory after each trial."""

    def on_trial_end(self, trial: Any) -> None:
        super().on_trial_end(trial)
        MEMORY.append(resident_memory())


class WatchedCoarseToFine(CoarseToFine):
    """Notes the memory after each trial."""

    def on_trial_end(self, trial: Any) -> None:
        super().on_trial_end(trial)
        MEMORY.append(resident_memory())


MEMORY: list[float] = []


def resident_memory() -> float:
    """Of this process alone, in MB."""
    return psutil.Process().memory_info().rss / MEGABYTE


def random_search(trials: int, folder: str) -> keras_tuner.Tuner:
    """KerasTuner's own."""
    return WatchedRandomSearch(
        Perceptron(), "val_accuracy", max_trials=trials, directory=folder
    )


def coarse_to_fine(trials: int, folder: str) -> keras_tuner.Tuner:
    """Ours, each trial of one epoch as in the other search."""
    return WatchedCoarseToFine(
        Perceptron(), max_trials=trials, epochs=(1, 1), directory=folder
    )


SEARCHES: dict[str, Callable[[int, str], keras_tuner.Tuner]] = {
    "RandomSearch": random_search,
    "CoarseToFine": coarse_to_fine,
}


def measure(name: str, trials: int) -> float:
    """Growth in MB per trial, from the settled ones to the last."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 20)).astype("float32")
    y = (x[:, 0] > 0).astype(int)
    with tempfile.TemporaryDirectory() as folder:
        tuner = SEARCHES[name](trials, folder)
        tuner.search(x, y, validation_data=(x, y), batch_size=128, verbose=0)
    return (MEMORY[-1] - MEMORY[SETTLED - 1]) / (trials - SETTLED)


def main() -> None:
    """Measures both and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    trials = parser.parse_args().trials
    table = Table("search", "MB per trial")
    for name in SEARCHES:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            growth = pool.submit(measure, name, trials).result()
        table.add_row(name, f"{growth:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
