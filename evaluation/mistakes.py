"""The most confident mistakes: where to look first."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Mistake:
    """One example that was classified wrongly.

    Attributes:
        image: `(height, width, 3)` uint8, RGB.
        name: File name, or whatever finds the example again.
        true_class: The class it belongs to.
        predicted_class: The class it was taken for.
        probability: Float in [0, 1], the probability of the latter.
    """

    image: np.ndarray
    name: str
    true_class: str
    predicted_class: str
    probability: float


def confident_mistakes(
    labels: np.ndarray, probabilities: np.ndarray, *, limit: int = 24
) -> np.ndarray:
    """Finds the wrong predictions that were surest of themselves.

    Args:
        labels: `(n,)` integers in [0, C), the right classes.
        probabilities: `(n, C)` floats, the predicted probabilities.
        limit: At most so many are returned. Defaults to 24.

    Returns:
        `(m,)` row numbers, m at most `limit`, the surest first; equally sure
        ones keep their order.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
        >>> confident_mistakes(np.array([1, 1, 1]), probabilities).tolist()
        [0, 1]
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    confidence = probabilities.max(axis=1)[wrong]
    return wrong[np.argsort(-confidence, kind="stable")[:limit]]
