"""What one temperature makes of the confidence of an overtrained network.

    python benchmarks/calibration.py                      # downloads the images
    python benchmarks/calibration.py --data FOLDER        # idx files, gzipped
    python benchmarks/calibration.py --data cifar10.npz --model notes_cnn

Trains a small network far too long, without anything that holds it back, on
the first images of Fashion-MNIST's training part; fits a temperature on the
images behind them; and prints, for several seeds, the expected calibration
error (15 bins) and the negative log-likelihood of the test part, which is read
once by each finished network. The table is shown in docs/calibration.md.

FOLDER holds Fashion-MNIST's four files as they are published (Debian's
`dataset-fashion-mnist` has them); an .npz file holds `x_train`, `y_train`,
`x_test` and `y_test`.
"""

import dataclasses
import gzip
import os
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from scipy.special import softmax

from dropzoo.evaluation import (
    Metrics,
    calibrate,
    draw_reliability,
    evaluate_probabilities,
)
from dropzoo.models import create_model


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the measurement."""

    data: str | None = None
    """Folder of idx files or an .npz file. Default: Keras downloads it."""
    model: str = "lenet5"
    """Network of the zoo."""
    train: int = 5_000
    """Images to learn from."""
    validation: int = 1_000
    """Images to fit the temperature on."""
    epochs: int = 40
    """Passes over the images to learn from."""
    seeds: int = 5
    """Trainings, each from other first weights."""
    picture: str | None = None
    """Where to draw the reliability of the first seed, a PNG file."""


class Part(NamedTuple):
    """uint8 images `(n, height, width, channels)` and labels `(n,)`."""

    images: np.ndarray
    labels: np.ndarray

    def rows(self, start: int, stop: int) -> "Part":
        return Part(self.images[start:stop], self.labels[start:stop])


class Judged(NamedTuple):
    """Figures on the test part, and the temperature between them."""

    before: Metrics
    after: Metrics
    temperature: float


def read_data(data: str | None) -> tuple[Part, Part]:
    """The training part and the test part."""
    if data is None:
        arrays = keras.datasets.fashion_mnist.load_data()
    elif Path(data).is_dir():
        folder = Path(data)
        arrays = read_idx(folder, "train"), read_idx(folder, "t10k")
    else:
        with np.load(data) as file:
            arrays = tuple(
                (file[f"x_{name}"], file[f"y_{name}"])
                for name in ("train", "test")
            )
    train, test = (
        Part(x if x.ndim == 4 else x[..., np.newaxis], y.reshape(-1))
        for x, y in arrays
    )
    return train, test


def read_idx(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, 28, 28)` and labels `(n,)`."""
    with gzip.open(folder / f"{name}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), "uint8", offset=16)
    with gzip.open(folder / f"{name}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), "uint8", offset=8)
    return images.reshape(-1, 28, 28), labels


def overtrain(config: Config, part: Part, seed: int) -> keras.Model:
    """Trains until the network is surer of itself than it should be."""
    keras.utils.set_random_seed(seed)
    model = create_model(
        config.model,
        num_classes=10,
        input_shape=part.images.shape[1:],
        seed=seed,
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(*part, batch_size=64, epochs=config.epochs, verbose=0)
    return model


def judge(config: Config, train: Part, test: Part, seed: int) -> Judged:
    """Trains, fits the temperature, and reads the test part."""
    end = config.train + config.validation
    model = overtrain(config, train.rows(0, config.train), seed)
    validation = train.rows(config.train, end)
    result = calibrate(model, *validation, batch_size=250)
    names = [str(label) for label in range(10)]
    before, after = (
        evaluate_probabilities(
            test.labels,
            softmax(m.predict(test.images, batch_size=250, verbose=0), axis=1),
            names,
        )
        for m in (model, result.model)
    )
    return Judged(before, after, result.temperature)


def print_table(results: list[Judged], config: Config) -> None:
    table = Table(box=None)
    headings = ("seed", "error", "T", "ECE", "with T", "ratio", "NLL", "with T")
    for heading in headings:
        table.add_column(heading, justify="right")
    ratios = []
    for seed, (before, after, temperature) in enumerate(results):
        errors = [m.expected_calibration_error for m in (before, after)]
        losses = [m.negative_log_likelihood for m in (before, after)]
        ratios.append(errors[1] / errors[0])
        table.add_row(
            str(seed),
            f"{1 - before.accuracy:.2%}",
            f"{temperature:.2f}",
            *(f"{error:.2%}" for error in errors),
            f"{ratios[-1]:.2f}",
            *(f"{loss:.3f}" for loss in losses),
        )
    console = Console(width=90)
    console.print(table)
    console.print(
        f"Calibration error with the temperature, fitted on "
        f"{config.validation:,} images, as a share of that without: "
        f"{np.mean(ratios):.2f} on average, at most {max(ratios):.2f}."
    )


def main(config: Config) -> None:
    train, test = read_data(config.data)
    results = [judge(config, train, test, seed) for seed in range(config.seeds)]
    print_table(results, config)
    if config.picture:
        panels = {"as trained": results[0].before, "with T": results[0].after}
        draw_reliability(config.picture, panels)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
