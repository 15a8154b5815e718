"""What the monitors cost, left on at their default interval.

    python benchmarks/monitors.py
    python benchmarks/monitors.py --network resnet56_cifar --batch-size 64

Trains a network and measures every second batch, so that batches with and
without a measurement take turns in one process. The table has the medians of
both, which no stall of the machine moves, and what follows for a measurement
in every hundredth batch, with its standard error by the bootstrap. The
monitors write for TensorBoard, too.
"""

import dataclasses
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from dropzoo.callbacks import ActivationMonitor, UpdateRatioMonitor
from dropzoo.callbacks.steps_taken import steps_taken
from dropzoo.models import create_model

CONSOLE = Console(width=100)
INTERVAL = 100  # the monitors' default
WARM_UP = 6  # batches in which something may compile


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    network: str = "resnet20_cifar"
    """A network of the catalogue."""
    batches: int = 200
    """Batches for each row of the table, half of them measured."""
    batch_size: int = 32
    """Images in a batch, and in the one whose activations are watched."""
    side: int = 32
    """Height and width of the images."""
    channels: int = 3
    """Channels of the images."""


class EverySecond(keras.callbacks.Callback):
    """Lets others act in every second batch, and takes the time of each."""

    def __init__(self, monitors: list[keras.callbacks.Callback]):
        super().__init__()
        self.monitors = monitors
        self.seconds: list[float] = []

    def on_train_begin(self, logs=None):
        for monitor in self.monitors:
            monitor.set_model(self.model)
            monitor.on_train_begin()

    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.perf_counter()
        for monitor in self.monitors if batch % 2 else ():
            monitor.on_train_batch_begin(batch)

    def on_train_batch_end(self, batch, logs=None):
        for monitor in self.monitors if batch % 2 else ():
            monitor.on_train_batch_end(batch)
        steps_taken(self.model.optimizer)  # waits for the device
        self.seconds.append(time.perf_counter() - self.start)

    def on_train_end(self, logs=None):
        for monitor in self.monitors:
            monitor.on_train_end()


def build(config: Config) -> keras.Model:
    """The network, ready to be trained."""
    shape = (config.side, config.side, config.channels)
    model = create_model(config.network, num_classes=10, input_shape=shape)
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # XLA takes many minutes for a deep network on a CPU.
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


def row(seconds: list[float]) -> list[str]:
    """Medians, and the ratio at the default interval."""
    times = np.array(seconds[WARM_UP:])
    pairs = times[: len(times) // 2 * 2].reshape(-1, 2)
    rng = np.random.default_rng(0)
    drawn = pairs[rng.integers(len(pairs), size=(1000, len(pairs)))]
    plain, measured = np.median(pairs, axis=0)
    ratios = [
        1 + (with_it / without - 1) / INTERVAL
        for without, with_it in np.median(drawn, axis=1)
    ]
    ratio = 1 + (measured / plain - 1) / INTERVAL
    return [
        f"{1000 * plain:.1f}",
        f"{1000 * measured:.1f}",
        f"{ratio:.4f} ± {np.std(ratios):.4f}",
    ]


def main(config: Config) -> None:
    """Prints the table."""
    rng = np.random.default_rng(0)
    shape = (config.batch_size, config.side, config.side, config.channels)
    images = rng.integers(0, 256, shape).astype("float32")
    labels = np.arange(config.batch_size) % 10
    model = build(config)
    table = Table("monitor", "ms plain", "ms measured", "ratio at 100")
    with tempfile.TemporaryDirectory() as folder:
        ratios = UpdateRatioMonitor(1, log_directory=folder)
        activations = ActivationMonitor(images, 1, log_directory=folder)
        for monitors in ([ratios], [activations], [ratios, activations]):
            both = EverySecond(list(monitors))
            model.fit(
                np.concatenate([images] * config.batches),
                np.concatenate([labels] * config.batches),
                batch_size=config.batch_size,
                callbacks=[both],
                verbose=0,
            )
            names = [type(monitor).__name__ for monitor in monitors]
            table.add_row(" and ".join(names), *row(both.seconds))
    CONSOLE.print(
        f"{config.network}, {config.side}x{config.side}, batch "
        f"{config.batch_size}, {config.batches} batches a row, "
        f"{keras.backend.backend()}"
    )
    CONSOLE.print(table)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
