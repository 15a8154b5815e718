"""Reliability bins: does a stated confidence come true?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ReliabilityBin:
    """The predictions whose confidence lies in `(low, high]`.

    Attributes:
        low: Float in [0, 1). Lower edge, exclusive.
        high: Float in (0, 1]. Upper edge, inclusive.
        count: Number of predictions in the bin.
        confidence: Their mean confidence, `None` in an empty bin.
        accuracy: The share of them that is right, `None` in an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None

    @property
    def gap(self) -> float:
        """Distance between confidence and accuracy, 0 in an empty bin."""
        if self.confidence is None or self.accuracy is None:
            return 0.0
        return abs(self.confidence - self.accuracy)


def reliability_bins(
    confidence: np.ndarray, correct: np.ndarray, *, num_bins: int = 15
) -> tuple[ReliabilityBin, ...]:
    """Sorts predictions into bins of equal width by their confidence.

    Args:
        confidence: `(n,)` floats in (0, 1], the probability of the predicted
            class.
        correct: `(n,)` booleans, whether that class is the right one.
        num_bins: Number of bins. Defaults to the paper's 15.

    Returns:
        `num_bins` bins from low to high confidence, empty ones included.

    Reference: Guo et al., "On Calibration of Modern Neural Networks", 2017,
        section 2
    """
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    # A sum that rounding lifted above 1 belongs to the last bin.
    rank = np.digitize(np.minimum(confidence, 1.0), edges, right=True) - 1
    return tuple(
        _bin(edges[i], edges[i + 1], confidence[rank == i], correct[rank == i])
        for i in range(num_bins)
    )


def _bin(
    low: float, high: float, confidence: np.ndarray, correct: np.ndarray
) -> ReliabilityBin:
    count = len(confidence)
    return ReliabilityBin(
        low=float(low),
        high=float(high),
        count=count,
        confidence=float(confidence.mean(dtype=float)) if count else None,
        accuracy=float(correct.mean()) if count else None,
    )


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Averages the gap between confidence and accuracy over all predictions.

    `sum_b count_b / n * |accuracy_b - confidence_b|`

    Args:
        bins: The bins of `reliability_bins`, not all of them empty.

    Returns:
        Float in [0, 1]; 0 where every confidence comes true.

    Reference: Guo et al., 2017, equation 3
    """
    counts = [b.count for b in bins]
    return float(np.average([b.gap for b in bins], weights=counts))
