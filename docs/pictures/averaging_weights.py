"""Draws docs/averaging-weights.png: validation error with and without averages.

The digits of scikit-learn, with noise added in training, a small network, and
a learning rate that stays high.
The three trainings of a seed are the same; they differ in the weights that
validation sees.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from dropzoo.callbacks import (
    ExponentialMovingAverage,
    StochasticWeightAveraging,
)

EPOCHS, START, SEEDS, BATCH = 20, 8, 3, 16
OUTPUT = Path(__file__).parents[1] / "averaging-weights.png"


def digits():
    """Training and validation images and labels, half and half."""
    x, y = load_digits(return_X_y=True)
    x = x.astype("float32") / 16
    return (x[::2], y[::2]), (x[1::2], y[1::2])


def build(seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.GaussianNoise(0.5, seed=seed),
            keras.layers.Dense(64, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def errors(seed, callbacks, training, validation):
    """Validation error in percent after each epoch."""
    history = build(seed).fit(
        *training,
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=validation,
        callbacks=callbacks,
        verbose=0,
    )
    return 100 * (1 - np.array(history.history["val_accuracy"]))


def main():
    training, validation = digits()
    images, labels = training
    batches = [
        (images[i : i + BATCH], labels[i : i + BATCH])
        for i in range(0, len(images), BATCH)
    ]
    ways = {
        "the weights of the last step": lambda: [],
        "ExponentialMovingAverage(0.99)": lambda: [
            ExponentialMovingAverage(0.99)
        ],
        f"StochasticWeightAveraging({START})": lambda: [
            StochasticWeightAveraging(
                START, apply="validation", batches=batches
            )
        ],
    }
    figure = Figure(figsize=(7, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (name, callbacks), colour in zip(
        ways.items(), ("0.6", "tab:blue", "tab:orange"), strict=True
    ):
        runs = np.array(
            [
                errors(seed, callbacks(), training, validation)
                for seed in range(SEEDS)
            ]
        )
        axes.plot(range(1, EPOCHS + 1), runs.mean(axis=0), color=colour)
        axes.plot(range(1, EPOCHS + 1), runs.T, color=colour, linewidth=0.4)
        axes.plot([], [], color=colour, label=name)
        ends = ", ".join(f"{error:.2f}" for error in runs[:, -1])
        print(f"{name}: {runs[:, -1].mean():.2f} % (seeds: {ends})")
    axes.set_ylim(0, 14)
    axes.set_xticks(range(0, EPOCHS + 1, 5))
    axes.set_xlabel("epoch", fontsize=9)
    axes.set_ylabel("validation error (%)", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    figure.savefig(OUTPUT, facecolor="white")


if __name__ == "__main__":
    main()
