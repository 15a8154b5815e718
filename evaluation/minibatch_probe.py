"""Fits the probe in minibatches, where its features exceed the memory limit."""

import math
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from dropzoo.data.feature_cache import Features
from dropzoo.evaluation.feature_scaling import Scaling, as_examples

EPOCHS = 2  # at least
STEPS = 200  # at least, for each penalty


class FeatureBatches(keras.utils.PyDataset):
    """Features and labels from disk, in another order in each epoch.

    Args:
        features: The features; every view is an example of its own.
        labels: Classes of all images, `(images,)`.
        positions: Which images to give.
        scaling: What is done to the features.
        batch_size: Images in a batch; each gives all its views.
    """

    def __init__(
        self,
        features: Features,
        labels: np.ndarray,
        positions: np.ndarray,
        scaling: Scaling,
        batch_size: int = 256,
    ):
        super().__init__()
        self.features = features
        self.labels = labels
        self.positions = positions
        self.scaling = scaling
        self.batch_size = batch_size
        self._random = np.random.default_rng(0)
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.positions) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        start = index * self.batch_size
        rows = self._order[start : start + self.batch_size]
        views = self.features.take(rows)  # (images, views, channels)
        x, y = as_examples(views, self.labels[rows])
        return self.scaling(x), y

    def on_epoch_end(self) -> None:
        self._order = self._random.permutation(self.positions)


def fit_in_minibatches(
    features: Features,
    labels: np.ndarray,
    num_classes: int,
    positions: np.ndarray,
    inverse_strengths: Sequence[float],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Softmax regressions by Adam, each started from the last.

    Args:
        features: Features of all images.
        labels: Classes of all images, `(images,)`.
        num_classes: Number of classes.
        positions: Which images to learn from.
        inverse_strengths: C of each penalty on features of unit spread.

    Yields: Kernel `(channels, num_classes)` and bias for each penalty.
    """
    sample = positions[:: max(len(positions) // 1024, 1)]
    scaling = Scaling.of(as_examples(features.take(sample), labels[sample])[0])
    batches = FeatureBatches(features, labels, positions, scaling)
    epochs = max(EPOCHS, math.ceil(STEPS / len(batches)))
    examples = len(positions) * features.shape[1]
    weights = None
    for strength in inverse_strengths:
        head = keras.layers.Dense(
            num_classes,
            dtype="float32",  # whatever the precision of the network
            kernel_initializer="zeros",
            # scikit-learn's C weighs the summed loss; Keras's is a mean.
            kernel_regularizer=keras.regularizers.L2(
                0.5 / (strength * examples)
            ),
        )
        model = keras.Sequential([keras.Input((features.shape[2],)), head])
        if weights is not None:
            model.set_weights(weights)
        rate = keras.optimizers.schedules.CosineDecay(
            0.01, epochs * len(batches)
        )
        model.compile(
            keras.optimizers.Adam(rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        # Else made in the first step, which would be traced twice for that.
        model.optimizer.build(model.trainable_variables)
        model.fit(batches, epochs=epochs, shuffle=False, verbose=0)
        weights = model.get_weights()
        yield scaling.undo(*weights)
