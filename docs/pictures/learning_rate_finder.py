"""Draws docs/learning-rate-finder.png, and prints the rates on it."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from keras import layers
from sklearn.datasets import load_digits

from dropzoo.callbacks import LearningRateFinder

OUTPUT = Path(__file__).parents[1] / "learning-rate-finder.png"


def main():
    keras.utils.set_random_seed(0)
    images, labels = load_digits(return_X_y=True)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Rescaling(1 / 16),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    finder = LearningRateFinder()
    print(finder.find(model, images, labels, batch_size=32))
    finder.plot(OUTPUT)


if __name__ == "__main__":
    main()
