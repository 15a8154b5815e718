"""What a network says of labelled images."""

from collections.abc import Callable

import keras
import numpy as np
from scipy.special import log_softmax

from dropzoo.data.augmentation import Augmentation
from dropzoo.data.examples import Examples
from dropzoo.data.pipeline import evaluation_batches, image_errors
from dropzoo.recipes.interruption import check_interruption


def score(
    network: keras.Model,
    examples: Examples,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Negative log-likelihood of each image, and whether its class is right.

    Args:
        network: A network that ends in logits.
        examples: The images and their classes.
        augmentation: How to vary each image. Defaults to not at all.
        seed: Of the variation.

    Returns: `(images,)` float64 and `(images,)` bool.
    """
    scores = log_probabilities(
        network, examples, augmentation=augmentation, seed=seed
    )
    rows = np.arange(len(examples))
    losses = -scores[rows, examples.labels]
    return losses, scores.argmax(axis=1) == examples.labels


def join(
    parts: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Losses and hits of several sets of images, one after the other."""
    losses, correct = zip(*parts, strict=True)
    return np.concatenate(losses), np.concatenate(correct)


def log_probabilities(
    network: keras.Model,
    examples: Examples,
    advance: Callable[[int], None] = lambda images: None,
    *,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Logarithms of the class probabilities `(images, classes)`.

    Args:
        network: A network that ends in logits.
        examples: The images.
        advance: Called with the number of images after each batch.
        augmentation: How to vary each image. Defaults to not at all.
        seed: Of the variation.
    """
    batches = evaluation_batches(
        examples,
        network.input_shape[1:3],
        augmentation=augmentation,
        seed=seed,
    )
    rows = []
    with image_errors():
        for images, _ in batches:
            # JAX and PyTorch take no tensors of TensorFlow.
            pixels = keras.ops.convert_to_tensor(np.asarray(images))
            logits = keras.ops.convert_to_numpy(
                network.predict_on_batch(pixels)
            )
            rows.append(log_softmax(logits.astype("float64"), axis=1))
            advance(len(logits))
            check_interruption()
    return np.concatenate(rows)
