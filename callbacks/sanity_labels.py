"""Whether labels are what the loss asks for."""

import numpy as np

from dropzoo.callbacks.compiled_loss import CompiledLoss
from dropzoo.callbacks.sanity_failure import SanityFailure


def label_failures(loss: CompiledLoss, y: np.ndarray) -> list[SanityFailure]:
    """Looks for labels that the loss cannot take.

    Whole numbers from 0 to C - 1 for sparse cross-entropy, rows of
    probabilities that sum to 1 for the dense one, [0, 1] for the binary one.
    Other losses take anything that is finite.

    Args:
        loss: The loss and the number of classes C.
        y: The labels.
    """
    if not np.isfinite(y).all():
        sentence: str | None = (
            "Some labels are not finite; a missing value is probably left in "
            "the data."
        )
    elif loss.kind == "sparse":
        sentence = _sparse(y, loss.num_outputs)
    elif loss.kind == "dense":
        sentence = _dense(y, loss.num_outputs)
    elif loss.kind == "binary" and not (0 <= y.min() and y.max() <= 1):
        sentence = (
            f"Labels must lie in [0, 1], but lie in [{y.min():g}, "
            f"{y.max():g}]; for class numbers use "
            "SparseCategoricalCrossentropy."
        )
    else:
        sentence = None
    return [SanityFailure("labels", sentence)] if sentence else []


def _sparse(y: np.ndarray, num_classes: int) -> str | None:
    if y.ndim > 1 and y.shape[-1] == num_classes > 1:
        return (
            f"Labels of shape {y.shape} look one-hot, but the loss takes "
            "class numbers; use CategoricalCrossentropy."
        )
    if (y != np.floor(y)).any():
        return (
            "Labels must be whole numbers, but some are fractions; they are "
            "probably scaled like the input, or no classes at all."
        )
    low, high = y.min(), y.max()
    if 0 <= low and high < num_classes:
        return None
    if low < 0:
        cause = "what is below 0 probably marks a missing label: leave it out"
    elif low == 1 and high == num_classes:
        cause = "they probably begin at 1: subtract 1"
    else:
        cause = f"the last layer probably needs {high + 1:g} units"
    return (
        f"Labels must be whole numbers from 0 to {num_classes - 1}, but lie "
        f"in [{low:g}, {high:g}]; {cause}."
    )


def _dense(y: np.ndarray, num_classes: int) -> str | None:
    if y.ndim < 2 or y.shape[-1] != num_classes:
        return (
            f"Labels must be rows of {num_classes} probabilities, but have "
            f"the shape {y.shape}; for class numbers use "
            "SparseCategoricalCrossentropy."
        )
    sums = y.sum(axis=-1)
    if y.min() >= 0 and abs(sums - 1).max() < 1e-3:
        return None
    return (
        "Each row of labels must sum to 1 with nothing below 0, but the sums "
        f"lie in [{sums.min():g}, {sums.max():g}]; where an example has "
        "several classes or none, use a sigmoid and BinaryCrossentropy."
    )
