"""What can be grafted onto which network, and what skipped branches save.

    python benchmarks/grafting.py
    python benchmarks/grafting.py --only "efficientnet*"
    python benchmarks/grafting.py --table skipping --steps 40

The first table has a row for each network of the catalogue and of
`keras.applications`, built with random weights at a small input: residual
additions, those that `skip=True` refuses, depth drops of its own, pooling
layers, dense layers on vectors, and layers with a kernel. docs/grafting.md
discusses it.

The second trains a ResNet-50 as it is, with branches that are masked and with
branches that are skipped, a step of each in turn, and prints median seconds per
step and their ratios, with the standard error that comes of the gates and of
what else the machine does. Masks save nothing; what skipping saves cannot
exceed the share of branches that are dropped, which the table gives.
"""

import dataclasses
import fnmatch
import functools
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Literal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from dropzoo.layers import linear_decay
from dropzoo.models import (
    create_model,
    graft,
    graft_report,
    list_models,
    model_info,
)

CONSOLE = Console(width=100)
SIDES = {"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}
SIDE = 64  # of other networks
COLUMNS = (
    "additions",
    "not skipped",
    "own drops",
    "pooling",
    "dense",
    "kernels",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    table: Literal["found", "skipping"] = "found"
    """What is found in each network, or what skipping saves."""
    only: str = "*"
    """Shell pattern of the networks in the table of what is found."""
    steps: int = 40
    """Steps of training of each kind."""
    batch_size: int = 16
    """Images in a step."""
    rate: float = 0.5
    """Rate of the deepest branch."""


def networks(pattern: str) -> Iterator[tuple[str, Callable[[], keras.Model]]]:
    """Names of all networks, and what builds each.

    Networks of the catalogue that Keras builds are listed once, as Keras's.
    """
    ours = {
        name: functools.partial(build_ours, name)
        for name in list_models()
        if not hasattr(model_info(name).build, "function")
    }
    theirs = {
        name: functools.partial(build_theirs, name)
        for name, value in vars(keras.applications).items()
        if callable(value) and name[0].isupper()
    }
    for name, build in {**ours, **theirs}.items():
        if fnmatch.fnmatchcase(name.lower(), pattern.lower()):
            yield name, build


def build_ours(name: str) -> keras.Model:
    """A network of the catalogue, at a side of 64 where it can be so small."""
    spec = model_info(name)
    side = max(min(spec.input_size, SIDE), spec.smallest_size)
    return create_model(
        name, num_classes=10, input_shape=(side, side, spec.channels)
    )


def build_theirs(name: str) -> keras.Model:
    """A network of Keras with random weights."""
    side = SIDES.get(name, SIDE)
    build = getattr(keras.applications, name)
    return build(weights=None, input_shape=(side, side, 3), classes=10)


def print_found(config: Config) -> None:
    """Prints what can be grafted onto each network."""
    # Keras reads graphs by recursion, and ResNet-1202 is deeper than Python's
    # stack.
    sys.setrecursionlimit(20_000)
    table = Table("network", *COLUMNS)
    for name, build in networks(config.only):
        report = graft_report(build())
        drops = [x for x in report.grafted if x.technique == "stochastic_depth"]
        counts = (
            len(report.residual_additions),
            len(report.not_skipped),
            len(drops),
            len(report.pooling),
            len(report.dense),
            len(report.kernels),
        )
        table.add_row(name, *map(str, counts))
        CONSOLE.print(name, *counts, style="dim")
        keras.backend.clear_session()
        gc.collect()
    CONSOLE.print(table)


def train(model: keras.Model, config: Config) -> Callable[[], float]:
    """Returns a function that trains a batch and gives its seconds."""
    rng = np.random.default_rng(0)
    shape = (config.batch_size, *model.input_shape[1:])
    images = rng.normal(size=shape).astype("float32")
    labels = rng.integers(10, size=config.batch_size)
    # XLA takes many minutes for a deep network on a CPU.
    jit = keras.backend.backend() == "jax"
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit)

    def step() -> float:
        start = time.perf_counter()
        model.train_on_batch(images, labels)
        return time.perf_counter() - start

    return step


def print_skipping(config: Config) -> None:
    """Prints seconds per step of a network as it is, masked, and skipped."""
    plain = build_theirs("ResNet50")
    models = {
        "as it is": plain,
        "masked": graft(plain, stochastic_depth=config.rate),
        "skipped": graft(plain, stochastic_depth=config.rate, skip=True),
    }
    steps = {name: train(model, config) for name, model in models.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(-2, config.steps):
        for name, step in steps.items():
            seconds = step()
            if number >= 0:  # The first two compile and warm up.
                times[name].append(seconds)
    blocks = len(graft_report(plain).residual_additions)
    dropped = sum(linear_decay(config.rate, blocks)) / blocks
    table = Table("branches", "seconds per step", "ratio", "dropped")
    for name, seconds in times.items():
        share = "0" if name == "as it is" else f"{dropped:.3f}"
        table.add_row(
            name,
            f"{np.median(seconds):.3f}",
            ratio(seconds, times["as it is"]),
            share,
        )
    CONSOLE.print(
        f"ResNet50, {SIDE}x{SIDE}, batch {config.batch_size}, "
        f"{config.steps} steps of each, {keras.backend.backend()}"
    )
    CONSOLE.print(table)


def ratio(times: list[float], reference: list[float]) -> str:
    """The ratio of two medians, with its standard error by the bootstrap.

    Medians, because a machine that does other things too stalls now and then.
    """
    steps = np.array([times, reference])
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(times), size=(1000, len(times)))
    one, other = np.median(steps[:, drawn], axis=-1)
    value = np.median(times) / np.median(reference)
    return f"{value:.3f} ± {np.std(one / other):.3f}"


def main(config: Config) -> None:
    """Prints the table that is asked for."""
    print_found(config) if config.table == "found" else print_skipping(config)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
