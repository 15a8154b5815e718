"""Why fine-tuning wrecks a network, and what keeps it whole.

    python benchmarks/wrecking.py

Starts from EfficientNet-Lite0 with a fitted head and takes optimizer steps on
grocery photos in several ways. Prints how far each way moves the network on
photos that it does not train on: the relative change of the logits after 1, 10
and 100 steps, and the accuracy and loss that are left. Held out are the last
40 % of each class, in the order in which the photos were taken. The table is
discussed in docs/fine-tuning.md.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from dropzoo.data import (
    Augmentation,
    concatenate,
    evaluation_batches,
    load,
    training_batches,
)
from dropzoo.evaluation import extract_features
from dropzoo.evaluation.folds import Folds
from dropzoo.evaluation.probe import fit_probe
from dropzoo.models import create_model, fold_batch_normalization
from dropzoo.models.heads import set_head
from dropzoo.recipes.quiet_start import quiet_start
from dropzoo.recipes.scoring import score
from dropzoo.schedules import Warmup

STEPS = (1, 10, 100)


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the measurement."""

    model: str = "efficientnet_lite0"
    """Network of the zoo."""
    size: int = 224
    """Side of the network's input in pixels."""


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to fine-tune.

    Args:
        name: What the table calls it.
        norm: `"frozen"` keeps BatchNorm's statistics, `"batch"` uses those of
            the batch, `"folded"` has none.
        optimizer: Makes the optimizer.
    """

    name: str
    norm: str
    optimizer: Callable[[], keras.optimizers.Optimizer]


def adam(rate: float) -> Callable[[], keras.optimizers.Optimizer]:
    return lambda: keras.optimizers.Adam(rate)


def warm_adam(rate: float) -> Callable[[], keras.optimizers.Optimizer]:
    flat = keras.optimizers.schedules.PolynomialDecay(rate, 1, rate)
    return lambda: keras.optimizers.Adam(Warmup(flat, 37))


def sgd(rate: float) -> Callable[[], keras.optimizers.Optimizer]:
    return lambda: keras.optimizers.SGD(rate, momentum=0.9)


WAYS = (
    Way("frozen statistics, Adam 1e-5", "frozen", adam(1e-5)),
    Way("frozen statistics, Adam 1e-4", "frozen", adam(1e-4)),
    Way("frozen statistics, Adam 1e-3", "frozen", adam(1e-3)),
    Way("frozen statistics, SGD 3e-3", "frozen", sgd(3e-3)),
    Way("batch statistics, Adam 1e-4", "batch", adam(1e-4)),
    Way("folded, Adam 1e-5", "folded", adam(1e-5)),
    Way("folded, Adam 1e-4", "folded", adam(1e-4)),
    Way("folded, Adam 1e-4, warm-up", "folded", warm_adam(1e-4)),
    Way("folded, Adam 1e-3", "folded", adam(1e-3)),
    Way("folded, SGD 3e-3", "folded", sgd(3e-3)),
)


def main(config: Config) -> None:
    """Runs every way and prints the table."""
    data = load("groceries")
    pool = concatenate([data.train, data.validation])
    learn, judge = hold_out_the_last(pool.labels, 0.4)
    shape = (config.size, config.size, 3)
    model = create_model(
        config.model, weights="imagenet", num_classes=14, input_shape=shape
    )
    describe_statistics(model)
    backbone = keras.Model(model.input, model.get_layer("features").output)
    features = extract_features(backbone, pool, mirrored=True)
    folds = Folds(((learn, judge),), learn)
    probe = fit_probe(features, pool.labels, 14, folds)
    set_head(model, *probe.head)
    table = Table("", *(f"moved by {n}" for n in STEPS), "accuracy", "loss")
    table.add_row(
        "the head alone",
        *("0.00" for _ in STEPS),
        f"{probe.accuracy:.3f}",
        f"{np.nanmean(probe.losses):.2f}",
    )
    for way in WAYS:
        row = try_out(way, model, pool.subset(learn), pool.subset(judge))
        table.add_row(way.name, *row)
    Console(width=100).print(table)


def try_out(way: Way, model: keras.Model, learn: Any, judge: Any) -> list[str]:
    """Takes the steps of one way; returns its cells of the table."""
    network = (
        fold_batch_normalization(model)
        if way.norm == "folded"
        else keras.models.clone_model(model)
    )
    if way.norm != "folded":
        network.set_weights(model.get_weights())
    for layer in network.layers:
        norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = not (norm and way.norm == "frozen")
    network.compile(
        way.optimizer(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    size = network.input_shape[1:3]
    batches = training_batches(
        learn,
        size,
        batch_size=32,
        augmentation=Augmentation("light", flips=True),
        seed=0,
        steps=range(max(STEPS)),
    )
    reference = logits_of(network, judge)
    moved = []
    for step, (images, labels) in enumerate(batches, start=1):
        network.train_on_batch(images, labels)
        if step in STEPS:
            change = logits_of(network, judge) - reference
            moved.append(np.linalg.norm(change) / np.linalg.norm(reference))
    losses, correct = score(network, judge)
    return [
        *(f"{value:.2f}" for value in moved),
        f"{correct.mean():.3f}",
        f"{losses.mean():.2f}",
    ]


def logits_of(network: keras.Model, examples: Any) -> np.ndarray:
    """Logits `(images, classes)`, centred over the classes."""
    size = network.input_shape[1:3]
    logits = np.concatenate(
        [
            np.asarray(network.predict_on_batch(images))
            for images, _ in evaluation_batches(examples, size)
        ]
    )
    return logits - logits.mean(axis=1, keepdims=True)


def hold_out_the_last(
    labels: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Positions to learn from, and the last photos of each class."""
    judge = np.concatenate(
        [
            rows[round((1 - share) * len(rows)) :]
            for label in np.unique(labels)
            for rows in [np.flatnonzero(labels == label)]
        ]
    )
    return np.setdiff1d(np.arange(len(labels)), judge), np.sort(judge)


def describe_statistics(model: keras.Model) -> None:
    """Prints how many channels have next to no variance."""
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    variances = [np.asarray(norm.moving_variance) for norm in norms]
    gains = [
        np.abs(norm.gamma) / np.sqrt(variance + norm.epsilon)
        for norm, variance in zip(norms, variances, strict=True)
    ]
    every = np.concatenate(variances)
    print(
        f"{model.name}: {(every < 1e-6).sum()} of {len(every)} channels in "
        f"{sum((v < 1e-6).any() for v in variances)} of {len(norms)} "
        "BatchNorms have a moving variance below 1e-6; the largest gain is "
        f"{max(gain.max() for gain in gains):.1f}, the median "
        f"{np.median(np.concatenate(gains)):.1f}."
    )


if __name__ == "__main__":
    quiet_start()
    main(tyro.cli(Config, description=__doc__))
