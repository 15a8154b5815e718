"""The temperature at which logits state what comes true."""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

COLDEST, HOTTEST = 1e-3, 1e3  # far beyond what any sane network needs


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Finds the temperature at which the labels are most likely.

    The mean of `-ln softmax(logits / T)[label]` is convex in `b = 1 / T`. Its
    slope there is the mean of `sum_k p_k (z_k - z_label)`, where
    `p = softmax(b z)`; it rises with `b`, so that its zero is the minimum.

    Args:
        logits: `(images, classes)` finite floats.
        labels: `(images,)` integers in [0, classes).

    Returns: The temperature; above 1 for a network that is too sure of itself.

    Raises: ValueError when the likelihood rises up to an end of
        [0.001, 1000]: there is no best temperature.

    Example:
        >>> logits = np.array([[4.0, 0.0]] * 4)  # always the first class,
        >>> labels = np.array([0, 0, 0, 1])  # which is right in 3 of 4 cases
        >>> T = fit_temperature(logits, labels)
        >>> round(float(1 / (1 + np.exp(-4 / T))), 6)
        0.75

    Reference: Guo et al., "On Calibration of Modern Neural Networks", 2017,
        section 4.2.
    """
    rows = np.arange(len(labels))
    margins = logits - logits[rows, labels][:, np.newaxis]

    def slope(log_inverse: float) -> float:
        shares = softmax(math.exp(log_inverse) * margins, axis=1)
        return float((shares * margins).sum(axis=1).mean())

    ends = -math.log(HOTTEST), -math.log(COLDEST)
    if slope(ends[1]) <= 0:
        raise ValueError(
            "calibrate: there must be validation images with a wrong answer, "
            "or no temperature is low enough. Received: "
            f"{len(labels)} images, all of them right; give it images that "
            "the model has not learned from."
        )
    if slope(ends[0]) >= 0:
        raise ValueError(
            "calibrate: the right class must have a higher logit than the "
            "others on average, or no temperature is high enough. Received: a "
            "model that is no better than guessing; look at the order of the "
            "classes and at the preprocessing."
        )
    return math.exp(-brentq(slope, *ends))
