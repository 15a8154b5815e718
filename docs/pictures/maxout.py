"""Draws docs/maxout.png: functions that maxout units have learned."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import matplotlib
import numpy as np
from matplotlib import pyplot as plt

from dropzoo.layers import Maxout

X = np.linspace(-3, 3, 121, dtype="float32")[:, None]
STARTS, STEPS = 32, 2000
OUTPUT = Path(__file__).parents[1] / "maxout.png"


def fit(target, num_pieces, num_units):
    """Trains units to follow a function of one number, added with signs +, -.

    A piece that is nowhere the largest gets no gradient and stays where it
    began, so that many starts are trained side by side. Returns what the best
    one gives, and its pieces.
    """
    keras.utils.set_random_seed(0)
    normal = keras.initializers.RandomNormal
    pieces = keras.layers.Dense(
        STARTS * num_units * num_pieces,
        kernel_initializer=normal(stddev=2.0),
        bias_initializer=normal(stddev=2.0),
    )
    x = keras.Input((1,))
    units = Maxout(num_pieces)(pieces(x))  # (batch, STARTS * num_units)
    units = keras.layers.Reshape((STARTS, num_units))(units)
    signs = np.array([[1.0], [-1.0]][:num_units], "float32")
    sums = keras.ops.matmul(units, signs)  # (batch, STARTS, 1)
    model = keras.Model(x, keras.layers.Flatten()(sums))
    rate = keras.optimizers.schedules.CosineDecay(0.05, STEPS)
    model.compile(keras.optimizers.Adam(rate), "mse")
    batches = np.tile(X, (STEPS, 1)), np.tile(target, (STEPS, STARTS))
    model.fit(*batches, batch_size=len(X), shuffle=False, verbose=0)
    learned, lines = (
        keras.ops.convert_to_numpy(part(X)) for part in (model, pieces)
    )
    best = np.argmin(((learned - target) ** 2).mean(axis=0))
    return learned[:, best], np.split(lines, STARTS, axis=1)[best]


def show(axes, title, target, num_pieces, num_units=1):
    learned, lines = fit(target, num_pieces, num_units)
    axes.plot(X, lines, color="tab:orange", linewidth=0.8, alpha=0.7)
    axes.plot(X, target, color="0.75", linewidth=5)
    axes.plot(X, learned, color="tab:blue", linewidth=1.6)
    margin = 0.25 * np.ptp(target)
    axes.set_ylim(target.min() - margin, target.max() + margin)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)


def main():
    matplotlib.use("Agg")
    figure, grid = plt.subplots(
        2, 3, figsize=(8, 4.8), dpi=130, layout="constrained"
    )
    square, sine = X**2, np.sin(2 * X)
    show(grid[0, 0], "|x|, 2 pieces", np.abs(X), 2)
    show(grid[0, 1], "ReLU, 2 pieces", np.maximum(X, 0), 2)
    show(grid[0, 2], "x², 2 pieces", square, 2)
    show(grid[1, 0], "x², 5 pieces", square, 5)
    show(grid[1, 1], "sin 2x: one unit is convex", sine, 5)
    show(grid[1, 2], "sin 2x: the difference of two units", sine, 5, 2)
    figure.legend(
        handles=[
            plt.Line2D([], [], color="0.75", linewidth=5),
            plt.Line2D([], [], color="tab:blue", linewidth=1.6),
            plt.Line2D([], [], color="tab:orange", linewidth=0.8),
        ],
        labels=["function", "what the units learned", "their pieces"],
        loc="outside lower center",
        ncols=3,
        fontsize=9,
    )
    figure.savefig(OUTPUT, facecolor="white")


if __name__ == "__main__":
    main()
