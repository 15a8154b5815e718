"""What skipping saves: a ResNet-110 with and without stochastic depth.

    python benchmarks/resnet110.py
    KERAS_BACKEND=jax python benchmarks/resnet110.py --device gpu

Trains the paper's network for CIFAR (54 residual blocks, linear decay to a rate
of 0.5) on random images, with `StochasticResidual` and with constant depth: a
step of the one, a step of the other, in one process. Prints seconds per step
and their ratio, with the standard error that comes of the gates; the table is
discussed in docs/stochastic-depth.md. Counting blocks, the ratio cannot be
below the expected share of blocks that are computed, which the table gives.

The times are written to `--out` after every pair of steps: a stopped benchmark
goes on where it was. A step takes some seconds on two cores of a CPU.
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import tyro
from keras import layers
from rich.console import Console
from rich.table import Table

from dropzoo.layers import StochasticResidual, linear_decay

RATES = {"constant depth": 0.0, "stochastic depth": 0.5}


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    steps: int = 60
    """Steps of each network."""
    batch_size: int = 128
    """Images in a step."""
    blocks: int = 18
    """Residual blocks of each of the three stages; 18 make a ResNet-110."""
    device: Literal["cpu", "gpu"] = "cpu"
    """Where to train."""
    out: Path = Path("runs/benchmark-resnet110.json")
    """File of the times that are taken."""


class PadChannels(layers.Layer):
    """Appends channels of zeros, after taking every second row and column.

    He et al., 2016, call this shortcut without weights their option A.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def call(self, inputs):
        missing = self.channels - inputs.shape[-1]
        padding = ((0, 0), (0, 0), (0, 0), (0, missing))
        return keras.ops.pad(inputs[:, ::2, ::2], padding)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return batch, -(-height // 2), -(-width // 2), self.channels


def convolution(channels: int, strides: int = 1) -> list[layers.Layer]:
    return [
        layers.Conv2D(
            channels,
            3,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
        ),
        layers.BatchNormalization(),
    ]


def build(config: Config, rate: float) -> keras.Model:
    """Builds the network of He et al. for CIFAR, 2016, section 4.2."""
    rates = iter(linear_decay(rate, 3 * config.blocks))
    x = inputs = keras.Input((32, 32, 3))
    for layer in [*convolution(16), layers.ReLU()]:
        x = layer(x)
    for stage, channels in enumerate((16, 32, 64)):
        for block in range(config.blocks):
            shrinks = stage > 0 and block == 0
            branch = [
                *convolution(channels, strides=2 if shrinks else 1),
                layers.ReLU(),
                *convolution(channels),
            ]
            x = StochasticResidual(
                keras.Sequential(branch),
                PadChannels(channels) if shrinks else None,
                rate=next(rates),
                activation="relu",
            )(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(10)(x))
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # XLA takes many minutes for a deep network on a CPU. JAX needs it.
        jit_compile=keras.backend.backend() == "jax" or config.device == "gpu",
    )
    return model


def statistics(model: keras.Model) -> list[np.ndarray]:
    """Returns a moving mean of each block, which moves where it is computed."""
    blocks = [x for x in model.layers if isinstance(x, StochasticResidual)]
    return [
        keras.ops.convert_to_numpy(block.branch.layers[1].moving_mean)
        for block in blocks
    ]


def step(model: keras.Model, config: Config) -> tuple[float, int]:
    """Trains one batch; returns seconds, and how many blocks were computed."""
    rng = np.random.default_rng()
    shape = (config.batch_size, 32, 32, 3)
    images = rng.normal(size=shape).astype("float32")
    labels = rng.integers(10, size=config.batch_size)
    before = statistics(model)
    start = time.perf_counter()
    model.train_on_batch(images, labels)
    # What runs behind the loss on an accelerator ends with a weight.
    keras.ops.convert_to_numpy(model.trainable_variables[0])
    seconds = time.perf_counter() - start
    after = statistics(model)
    computed = sum(
        not np.array_equal(*pair) for pair in zip(before, after, strict=True)
    )
    return seconds, computed


def measure(config: Config) -> dict[str, list[tuple[float, int]]]:
    """Takes the steps that are missing, one of each network in turn."""
    kept = json.loads(config.out.read_text()) if config.out.is_file() else {}
    times = kept.setdefault(describe(config), {name: [] for name in RATES})
    done = len(times["stochastic depth"])
    if done >= config.steps:
        return times
    models = {name: build(config, rate) for name, rate in RATES.items()}
    config.out.parent.mkdir(parents=True, exist_ok=True)
    for number in range(done - 2, config.steps):
        results = {name: step(models[name], config) for name in models}
        if number < done:  # The first two compile and warm up.
            continue
        for name, result in results.items():
            times[name].append(result)
        config.out.write_text(json.dumps(kept))
    return times


def describe(config: Config) -> str:
    """Returns what must be equal for times to be compared."""
    return (
        f"ResNet-{6 * config.blocks + 2}, batch {config.batch_size}, "
        f"{keras.backend.backend()} on {config.device}"
    )


def print_table(
    times: dict[str, list[tuple[float, int]]], config: Config
) -> None:
    """Prints seconds per step and their ratio."""
    constant, stochastic = (np.array(times[name])[:, 0] for name in RATES)
    ratio = stochastic.mean() / constant.mean()
    # Of a ratio of means over pairs, to first order.
    residuals = (stochastic - ratio * constant) / constant.mean()
    error = residuals.std(ddof=1) / len(residuals) ** 0.5
    rows = {
        "constant depth": "1",
        "stochastic depth": f"{ratio:.3f} ± {error:.3f}",
    }
    table = Table(
        "", "seconds per step", "ratio", "blocks computed", "expected"
    )
    for name, shown in rows.items():
        seconds, computed = np.array(times[name]).T
        rates = linear_decay(RATES[name], 3 * config.blocks)
        expected = sum(1 - rate for rate in rates)
        table.add_row(
            name,
            f"{seconds.mean():.3f}",
            shown,
            f"{computed.mean():.2f} of {len(rates)}",
            f"{expected:.2f} ({expected / len(rates):.3f})",
        )
    Console(width=100).print(table)


def main(config: Config) -> None:
    """Measures what is missing and prints the table."""
    with keras.device(f"{config.device}:0"):
        times = measure(config)
    print(f"{describe(config)}, {len(times['constant depth'])} steps of each")
    print_table(times, config)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
