"""What a mask for each example holds in memory, 1024 -> 1024, batch 256.

    python benchmarks/drop_connect_memory.py

Prints by how much the peak of a process's resident memory grows when it goes
from training steps of 2 examples to steps of 256: of `DropConnectDense` in
each of its modes, of `Dense`, and of a layer that makes all masks at once.
Each is measured in a process of its own, because a peak does not fall.
"""

import multiprocessing
import os
import resource
import sys
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers, ops
from rich.console import Console
from rich.table import Table

from dropzoo.layers import DropConnectDense

UNITS, BATCH, STEPS = 1024, 256, 3
MEBIBYTE = 2**20


class AllMasksDense(layers.Dense):
    """DropConnect as it is written down: all masks of a batch, then a sum."""

    def call(self, inputs, training=False):
        shape = (ops.shape(inputs)[0], *self.kernel.shape)
        kept = keras.random.uniform(shape) < 0.5
        masked = 2 * ops.cast(kept, self.kernel.dtype) * self.kernel
        return ops.einsum("bi,bio->bo", inputs, masked) + self.bias


LAYERS: dict[str, Callable[[], keras.Layer]] = {
    "Dense": lambda: layers.Dense(UNITS),
    "DropConnectDense, gaussian": lambda: dropping("gaussian"),
    "DropConnectDense, batch": lambda: dropping("batch"),
    "DropConnectDense, example": lambda: dropping("example"),
    "all masks at once": lambda: AllMasksDense(UNITS),
}


def dropping(masks: str) -> keras.Layer:
    """Our layer in one of its modes."""
    return DropConnectDense(UNITS, rate=0.5, masks=masks, seed=0)


def measure(name: str) -> float:
    """Growth of the peak in MiB from small batches to large ones."""
    model = keras.Sequential([keras.Input((UNITS,)), LAYERS[name]()])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    rng = np.random.default_rng(0)

    def train(batch):
        x = rng.normal(size=(batch, UNITS)).astype("float32")
        for _ in range(STEPS):
            model.train_on_batch(x, x)

    train(2)
    before = peak()
    train(BATCH)
    return (peak() - before) / MEBIBYTE


def peak() -> int:
    """Highest resident memory of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Measures every layer and prints the table."""
    table = Table("layer", "MiB", "kernels")
    spawn = multiprocessing.get_context("spawn")
    for name in LAYERS:
        with spawn.Pool(1) as pool:
            grown = pool.apply(measure, (name,))
        kernels = grown * MEBIBYTE / (4 * UNITS**2)
        table.add_row(name, f"{grown:.0f}", f"{kernels:.1f}")
    console = Console(width=80)
    console.print(table)
    console.print(
        f"Growth of peak memory from batch 2 to {BATCH}, {UNITS} to {UNITS} "
        f"units, float32, {keras.backend.backend()}."
    )


if __name__ == "__main__":
    main()
