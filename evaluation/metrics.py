"""What a table of predicted probabilities is worth."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import (
    confusion_matrix,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from .reliability import (
    ReliabilityBin,
    expected_calibration_error,
    reliability_bins,
)

# Rows of a float16 softmax over 1000 classes miss 1 by less than this; logits
# miss it by more.
SUM_TOLERANCE = 1e-2


@dataclass(frozen=True)
class ClassScores:
    """The scores of one class; all `None` if it has no examples.

    Attributes:
        name: The class.
        precision: Share of the predictions of this class that are right; 0 if
            it was never predicted.
        recall: Share of its examples that were found.
        f1: Harmonic mean of the two.
        support: Number of its examples.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True, eq=False)
class Metrics:
    """The figures of one evaluation.

    Attributes:
        num_examples: Number of examples that were judged.
        accuracy: Share of them whose most probable class is the right one.
        accuracy_interval: 95 % Wilson interval of the accuracy, (low, high).
        top5_accuracy: Share of them whose class is among the five most
            probable; `None` with five classes or fewer.
        negative_log_likelihood: Mean of `-ln p(right class)`, in nats.
        macro_f1: Mean F1 of the classes that have examples.
        per_class: The scores of every class, in the order of the labels.
        confusion: `(C, C)` integers, rows are the right classes and columns
            the predicted ones.
        expected_calibration_error: Mean gap between confidence and accuracy.
        reliability: The bins behind that mean.
    """

    num_examples: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    top5_accuracy: float | None
    negative_log_likelihood: float
    macro_f1: float
    per_class: tuple[ClassScores, ...]
    confusion: np.ndarray
    expected_calibration_error: float
    reliability: tuple[ReliabilityBin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as numbers, lists and dicts, ready for JSON."""
        return {
            **vars(self),
            "accuracy_interval": list(self.accuracy_interval),
            "per_class": [asdict(scores) for scores in self.per_class],
            "confusion": self.confusion.tolist(),
            "reliability": [asdict(b) for b in self.reliability],
        }


def evaluate_probabilities(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> Metrics:
    """Compares predicted probabilities with the right classes.

    Args:
        labels: `(n,)` integers in [0, C), the right classes, n at least 1.
        probabilities: `(n, C)` floats in [0, 1], C at least 2, every row
            summing to 1.
        class_names: The C names, in the order of the columns.

    Returns:
        The figures. A probability below 1e-15 counts as 1e-15 in the
        negative log-likelihood, so that one certain mistake cannot make it
        infinite.

    Raises:
        ValueError: A shape does not fit, a label is out of range, or the
            probabilities are none.
        TypeError: The labels are not integers or the probabilities not
            floats.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
        >>> metrics = evaluate_probabilities(
        ...     np.array([0, 1, 1]), probabilities, ["cat", "dog"]
        ... )
        >>> round(metrics.accuracy, 3)
        0.667
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    num_classes = len(class_names)
    _check_shape(probabilities, num_classes)
    _check_values(probabilities)
    _check_labels(labels, len(probabilities), num_classes)

    predicted = probabilities.argmax(axis=1)
    correct = predicted == labels
    right = binomtest(int(correct.sum()), len(labels))
    interval = right.proportion_ci(confidence_level=0.95, method="wilson")
    bins = reliability_bins(probabilities.max(axis=1), correct)
    per_class = _scores(labels, predicted, class_names)
    return Metrics(
        num_examples=len(labels),
        accuracy=float(correct.mean()),
        accuracy_interval=(float(interval.low), float(interval.high)),
        top5_accuracy=_top5_accuracy(labels, probabilities),
        negative_log_likelihood=_likelihood_loss(labels, probabilities),
        macro_f1=float(np.mean([s.f1 for s in per_class if s.support])),
        per_class=per_class,
        confusion=confusion_matrix(
            labels, predicted, labels=range(num_classes)
        ),
        expected_calibration_error=expected_calibration_error(bins),
        reliability=bins,
    )


def _top5_accuracy(
    labels: np.ndarray, probabilities: np.ndarray
) -> float | None:
    num_classes = probabilities.shape[1]
    if num_classes <= 5:
        return None
    return float(
        top_k_accuracy_score(
            labels, probabilities, k=5, labels=range(num_classes)
        )
    )


def _likelihood_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    chosen = probabilities[np.arange(len(labels)), labels].astype(float)
    return float(-np.log(np.clip(chosen, 1e-15, 1.0)).mean())


def _scores(
    labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]
) -> tuple[ClassScores, ...]:
    columns = precision_recall_fscore_support(
        labels, predicted, labels=range(len(class_names)), zero_division=0
    )
    return tuple(
        ClassScores(name, float(precision), float(recall), float(f1), int(n))
        if n
        else ClassScores(name, None, None, None, 0)
        for name, precision, recall, f1, n in zip(
            class_names, *columns, strict=True
        )
    )


def _check_shape(probabilities: np.ndarray, num_classes: int) -> None:
    if num_classes < 2:
        raise ValueError(
            "evaluate_probabilities: `class_names` must hold at least two "
            f"classes. Received: {num_classes}"
        )
    if probabilities.ndim != 2 or probabilities.shape[1] != num_classes:
        raise ValueError(
            "evaluate_probabilities: `probabilities` must have the shape "
            f"(n, {num_classes}), one column for each of `class_names`. "
            f"Received: shape {probabilities.shape}"
        )
    if len(probabilities) == 0:
        raise ValueError(
            "evaluate_probabilities: `probabilities` must hold at least one "
            "row. Received: none; give the split some examples"
        )


def _check_values(probabilities: np.ndarray) -> None:
    if not np.issubdtype(probabilities.dtype, np.floating):
        raise TypeError(
            "evaluate_probabilities: `probabilities` must be floats. "
            f"Received: {probabilities.dtype}; convert them to float32 first"
        )
    if not np.isfinite(probabilities).all():
        bad = int((~np.isfinite(probabilities).all(axis=1)).sum())
        raise ValueError(
            "evaluate_probabilities: `probabilities` must be finite. "
            f"Received: NaN or infinity in {bad} of {len(probabilities)} "
            "rows; the model has diverged, lower the learning rate"
        )
    if (
        probabilities.min() < 0
        or abs(probabilities.sum(axis=1, dtype=float) - 1).max() > SUM_TOLERANCE
    ):
        raise ValueError(
            "evaluate_probabilities: every row of `probabilities` must be in "
            "[0, 1] and sum to 1. Received: values from "
            f"{probabilities.min():.3g} to {probabilities.max():.3g}; apply "
            "softmax to logits first"
        )


def _check_labels(
    labels: np.ndarray, num_examples: int, num_classes: int
) -> None:
    if labels.shape != (num_examples,):
        raise ValueError(
            "evaluate_probabilities: `labels` must have the shape "
            f"({num_examples},), one for each row of `probabilities`. "
            f"Received: shape {labels.shape}"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(
            "evaluate_probabilities: `labels` must be integers. Received: "
            f"{labels.dtype}; take the argmax of one-hot labels first"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            "evaluate_probabilities: `labels` must be in [0, "
            f"{num_classes}). Received: values from {labels.min()} to "
            f"{labels.max()}"
        )
