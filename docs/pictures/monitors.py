"""Draws docs/update-ratios.png and docs/activations.png by the monitors.

A network for scikit-learn's digits with two faults: its tanh layers begin with
weights so large that they saturate, and a learning rate that is too high for
its ReLU layers kills some of their units.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from sklearn.datasets import load_digits

from dropzoo.callbacks import ActivationMonitor, UpdateRatioMonitor

DOCS = Path(__file__).parents[1]


def build():
    keras.utils.set_random_seed(0)
    layers = [keras.Input((64,))]
    for number in range(1, 5):
        too_large = keras.initializers.RandomNormal(stddev=0.5, seed=number)
        layers.append(
            keras.layers.Dense(
                64,
                activation="tanh",
                kernel_initializer=too_large,
                name=f"tanh_{number}",
            )
        )
    for number in range(1, 5):
        layers.append(
            keras.layers.Dense(64, activation="relu", name=f"relu_{number}")
        )
    return keras.Sequential([*layers, keras.layers.Dense(10, name="head")])


def main():
    x, y = load_digits(return_X_y=True)
    x = x.astype("float32") / 16
    model = build()
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    monitors = [
        UpdateRatioMonitor(20, picture=DOCS / "update-ratios.png"),
        ActivationMonitor(x[:64], 20, picture=DOCS / "activations.png"),
    ]
    model.fit(x, y, batch_size=32, epochs=10, callbacks=monitors, verbose=0)
    for record in monitors[1].history[:: len(monitors[1].history) - 1]:
        print(record)


if __name__ == "__main__":
    main()
