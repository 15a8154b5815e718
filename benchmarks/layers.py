"""What the stochastic layers cost, beside the plain layers they stand for.

    python benchmarks/layers.py
    KERAS_BACKEND=jax python benchmarks/layers.py --device gpu

Prints a table of ratios: milliseconds of a training step (forward, backward,
compiled as one graph) of our layer over those of the layer beside it. Both
are timed in one process, in turns, and the medians are compared, because
machines are noisy. Under TensorFlow and JAX the step is one graph; PyTorch
runs it eagerly.

The two figures that are no layer against a layer have programs of their own:
`benchmarks/resnet110.py` (the time that skipped blocks save) and
`benchmarks/drop_connect_memory.py` (what a mask per example holds in memory).
"""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from typing import Literal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dropzoo import layers

PHOTOS = ((32, 56, 56, 64), (64, 28, 28, 32))
VECTORS = ((128, 1024),)

Step = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    rounds: int = 30
    """How often each of a pair is timed, in turns."""
    only: str = ""
    """Only the rows whose name contains this."""
    device: Literal["cpu", "gpu"] = "cpu"
    """Where to compute."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table: a layer of ours beside a plain one."""

    name: str
    ours: Callable[[], keras.Layer]
    plain_name: str
    plain: Callable[[], keras.Layer]
    shapes: tuple[tuple[int, ...], ...]
    limit: float | None = None  # highest ratio that we allow ourselves
    backends: tuple[str, ...] = ("tensorflow", "jax", "torch")


def block(*last: keras.Layer) -> keras.Layer:
    """The residual branch that depth and block dropping regularise."""
    convolutions = [
        inner
        for _ in range(2)
        for inner in (
            keras.layers.Conv2D(64, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        )
    ]
    return keras.Sequential([*convolutions[:-1], *last])


def two_products() -> keras.Layer:
    """The matrix products of a Gaussian DropConnect, of mean and variance.

    What bounds its ratio: three products for each, forward and backward.
    """
    x = keras.Input((1024,))
    mean, variance = (keras.layers.Dense(1024) for _ in range(2))
    return keras.Model(x, mean(x) + variance(keras.ops.square(x)))


def tensorflow_fractional_pooling() -> keras.Layer:
    """TensorFlow's own operation, with our default ratio."""
    import tensorflow as tf

    ratio = [1.0, 2**0.5, 2**0.5, 1.0]
    return keras.layers.Lambda(
        lambda x: tf.nn.fractional_max_pool(
            x, ratio, pseudo_random=True, overlapping=True
        )[0]
    )


def cases() -> Iterator[Case]:
    """Every row of the table."""
    pool = keras.layers.MaxPooling2D
    fractional = layers.FractionalMaxPooling2D
    yield Case(
        "FractionalMaxPooling2D",
        fractional,
        "tf.nn.fractional_max_pool",
        tensorflow_fractional_pooling,
        PHOTOS,
        limit=0.2,
        backends=("tensorflow",),
    )
    yield Case(
        "FractionalMaxPooling2D", fractional, "MaxPooling2D", pool, PHOTOS, 2.5
    )
    yield Case(
        "FractionalMaxPooling2D, disjoint",
        lambda: fractional(overlapping=False),
        "MaxPooling2D",
        pool,
        PHOTOS,
    )
    yield Case(
        "FractionalMaxPooling2D, regions per sample",
        lambda: fractional(regions="sample"),
        "MaxPooling2D",
        pool,
        PHOTOS,
    )
    yield Case(
        "StochasticPooling2D",
        layers.StochasticPooling2D,
        "MaxPooling2D",
        pool,
        PHOTOS,
        4,
    )
    for masks, limit in (("gaussian", 2), ("batch", None), ("example", 40)):
        yield Case(
            f"DropConnectDense, {masks} masks",
            lambda masks=masks: layers.DropConnectDense(1024, masks=masks),
            "Dense",
            lambda: keras.layers.Dense(1024),
            VECTORS,
            limit,
        )
    yield Case(
        "products of mean and variance, which bound Gaussian masks",
        two_products,
        "Dense",
        lambda: keras.layers.Dense(1024),
        VECTORS,
    )
    yield Case(
        "StochasticDepth after a block",
        lambda: block(layers.StochasticDepth(0.5)),
        "the block",
        block,
        PHOTOS[:1],
        1.15,
    )
    yield Case(
        "DropBlock2D after a block",
        lambda: block(layers.DropBlock2D(0.1)),
        "the block",
        block,
        PHOTOS[:1],
        1.3,
    )
    yield Case(
        "MaxDrop after a block",
        lambda: block(layers.MaxDrop(0.1)),
        "the block",
        block,
        PHOTOS[:1],
    )


def training_step(layer: keras.Layer, x: np.ndarray) -> Step:
    """Forward and backward, w.r.t. weights and input, in one graph."""
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    make = {
        "tensorflow": tensorflow_step,
        "jax": jax_step,
        "torch": torch_step,
    }
    return make[keras.backend.backend()](model, x)


def tensorflow_step(model: keras.Model, x: np.ndarray) -> Step:
    import tensorflow as tf

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(model(x, training=True))
        sources = [x, *(v.value for v in model.trainable_variables)]
        return tape.gradient(total, sources)

    x = tf.constant(x)
    return lambda: step(x)[0].numpy()


def jax_step(model: keras.Model, x: np.ndarray) -> Step:
    import jax

    def loss(x, trainable, others):
        y, others = model.stateless_call(trainable, others, x, training=True)
        return keras.ops.sum(y), others

    step = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    x = jax.numpy.asarray(x)
    state = [v.value for v in model.non_trainable_variables]

    def run():
        nonlocal state
        trainable = [v.value for v in model.trainable_variables]
        gradients, state = step(x, trainable, state)
        return jax.block_until_ready(gradients)

    return run


def torch_step(model: keras.Model, x: np.ndarray) -> Step:
    x = keras.ops.convert_to_tensor(x).requires_grad_(True)

    def run():
        x.grad = None
        keras.ops.sum(model(x, training=True)).backward()
        return x.grad.sum().item()  # waits for the device

    return run


def medians(first: Step, second: Step, rounds: int) -> tuple[float, float]:
    """Median milliseconds of two steps, timed in turns."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 3):
        for step, times in zip((first, second), seconds, strict=True):
            start = time.perf_counter()
            step()
            if number >= 3:  # the first ones compile and warm up
                times.append(time.perf_counter() - start)
    return 1000 * np.median(seconds[0]), 1000 * np.median(seconds[1])


def row(case: Case, shape: tuple[int, ...], rounds: int) -> list[str]:
    """Times a pair, and words it."""
    # As a ReLU leaves them: a share of zeros, the rest above.
    x = np.random.default_rng(0).normal(0.5, 1, shape).clip(0)
    x = x.astype("float32")
    ours, plain = medians(
        training_step(case.ours(), x), training_step(case.plain(), x), rounds
    )
    ratio = ours / plain
    verdict = ""
    if case.limit is not None:
        verdict = f"{case.limit:g}" + (
            "" if ratio <= case.limit else ", missed"
        )
    return [
        case.name,
        case.plain_name,
        "x".join(map(str, shape)),
        f"{ours:.1f}",
        f"{plain:.1f}",
        f"{ratio:.2f}",
        verdict,
    ]


def device_name(kind: str) -> str:
    """What the numbers were measured on."""
    name = f"{kind}:0"
    if keras.backend.backend() != "torch":  # Keras lists none of PyTorch's
        names = keras.distribution.list_devices(kind)
        if not names:
            raise SystemExit(f"benchmarks/layers.py: no {kind} was found.")
        name = names[0]
    return f"{keras.backend.backend()} on {name}, {os.cpu_count()} cores"


def main(config: Config) -> None:
    """Times every pair and prints the table."""
    device = device_name(config.device)
    # Keras's variables on PyTorch take "cpu" and "cpu:0" for two devices.
    is_torch = keras.backend.backend() == "torch"
    place = config.device if is_torch else f"{config.device}:0"
    table = Table("layer", "beside", "shape", "ms", "ms", "ratio", "limit")
    pairs = [
        (case, shape)
        for case in cases()
        if keras.backend.backend() in case.backends and config.only in case.name
        for shape in case.shapes
    ]
    with keras.device(place):
        for case, shape in track(pairs, description="Timing", transient=True):
            table.add_row(*row(case, shape, config.rounds))
    console = Console(width=120)
    console.print(table)
    console.print(f"Training steps in milliseconds; {device}.")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
