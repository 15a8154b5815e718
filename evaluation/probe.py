"""The linear probe: a logistic regression on frozen features.

It is the head that fine-tuning starts from, and the bar that fine-tuning has
to clear. Its regularisation is chosen on held-out images by the negative log-
likelihood, which tells apart settings of equal accuracy, with the one-standard-
error rule: the strongest penalty that is not clearly worse than the best.
Photos taken in a row land on both sides of a random split, so that held-out
images favour weaker penalties than photos from elsewhere do.

References: Radford et al., "Learning Transferable Visual Models From Natural
Language Supervision", 2021, appendix A.3 (the L-BFGS probe); Hastie et al.,
"The Elements of Statistical Learning", section 7.10 (the rule).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from dropzoo.data.feature_cache import Features
from dropzoo.evaluation.feature_scaling import Scaling, as_examples
from dropzoo.evaluation.folds import Folds

# Inverse strengths C of the l2 penalty on features of unit spread, from strong
# to weak: each solution is a good start for the next.
INVERSE_STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
MEMORY_LIMIT = 64 * 2**20  # bytes of features that are held at once
TOLERANCE = 1e-4  # of the gradient, at which L-BFGS ends

Head = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Probe:
    """A fitted head and how it was chosen.

    Args:
        head: Kernel `(channels, classes)` and bias `(classes,)`, fitted on
            all images that may be learned from.
        fold_heads: The head of each fold, which has not seen what the fold
            holds out.
        inverse_strength: The chosen C, for features of unit spread.
        scores: Mean held-out negative log-likelihood of each C.
        losses: Held-out negative log-likelihood of each image `(images,)`;
            NaN where it was never held out.
        correct: Whether its class was right when held out `(images,)`.
    """

    head: Head
    fold_heads: tuple[Head, ...]
    inverse_strength: float
    scores: dict[float, float]
    losses: np.ndarray
    correct: np.ndarray

    @property
    def num_judged(self) -> int:
        """Number of images that were held out."""
        return int(np.isfinite(self.losses).sum())

    @property
    def accuracy(self) -> float:
        """Held-out accuracy in [0, 1]."""
        return float(self.correct[np.isfinite(self.losses)].mean())


def fit_probe(
    features: Features, labels: np.ndarray, num_classes: int, folds: Folds
) -> Probe:
    """Fits a head on cached features and chooses its regularisation.

    Up to 64 MiB of features are held in memory and fitted by L-BFGS. Beyond
    that the head is fitted in minibatches, which are read from disk.

    Args:
        features: Of all images. The first view is the photo itself; the
            others are learned from, never judged on.
        labels: Classes `(images,)`.
        num_classes: Number of classes, at least 2.
        folds: What to learn from and what to judge on.

    Returns: The head, and how it was chosen.

    Raises: ValueError when a class has no image to learn from.
    """
    for learn, _ in (*folds.pairs, (folds.learn, None)):
        _check_classes(labels[learn], num_classes)
    losses = np.full((len(INVERSE_STRENGTHS), len(labels)), np.nan)
    correct = np.zeros(losses.shape, bool)
    fold_heads = []
    for learn, judge in folds.pairs:
        heads = list(
            _fit(features, labels, num_classes, learn, INVERSE_STRENGTHS)
        )
        fold_heads.append(heads)
        for row, head in enumerate(heads):
            _judge(features, labels, judge, head, losses[row], correct[row])
    means = np.nanmean(losses, axis=1).tolist()
    chosen = _one_standard_error(losses)
    path = INVERSE_STRENGTHS[: chosen + 1]
    *_, head = _fit(features, labels, num_classes, folds.learn, path)
    return Probe(
        head=head,
        fold_heads=tuple(heads[chosen] for heads in fold_heads),
        inverse_strength=INVERSE_STRENGTHS[chosen],
        scores=dict(zip(INVERSE_STRENGTHS, means, strict=True)),
        losses=losses[chosen],
        correct=correct[chosen],
    )


def _check_classes(labels: np.ndarray, num_classes: int) -> None:
    # The columns of the head would otherwise be those of other classes.
    missing = np.setdiff1d(np.arange(num_classes), labels)
    if num_classes < 2 or len(missing):
        raise ValueError(
            "fit_probe: each of at least 2 classes must have an image to "
            f"learn from. Received: num_classes={num_classes}, none of "
            f"class {', '.join(map(str, missing[:5])) or 1}"
        )


def _fit(
    features: Features,
    labels: np.ndarray,
    num_classes: int,
    positions: np.ndarray,
    strengths: Sequence[float],
) -> Iterator[Head]:
    if features.num_bytes <= MEMORY_LIMIT:
        return _fit_in_memory(features, labels, positions, strengths)
    from dropzoo.evaluation.minibatch_probe import fit_in_minibatches

    return fit_in_minibatches(
        features, labels, num_classes, positions, strengths
    )


def _fit_in_memory(
    features: Features,
    labels: np.ndarray,
    positions: np.ndarray,
    strengths: Sequence[float],
) -> Iterator[Head]:
    """L-BFGS along the path of penalties, each started from the last."""
    views = features.take(positions)  # (images, views, channels)
    x, y = as_examples(views, labels[positions])
    scaling = Scaling.of(x)
    model = LogisticRegression(warm_start=True, max_iter=1000, tol=TOLERANCE)
    x = scaling(x)
    for strength in strengths:
        # One thread: the products are too small for more, which wait for each
        # other; beside other work that took ten times as long.
        with threadpool_limits(1):
            model.set_params(C=strength).fit(x, y)
        kernel, bias = model.coef_.T, model.intercept_
        if kernel.shape[1] == 1:  # two classes: the difference of two logits
            kernel = np.hstack([-kernel / 2, kernel / 2])
            bias = np.concatenate([-bias / 2, bias / 2])
        yield scaling.undo(kernel, bias)


def _judge(
    features: Features,
    labels: np.ndarray,
    positions: np.ndarray,
    head: Head,
    losses: np.ndarray,
    correct: np.ndarray,
) -> None:
    """Fills in the losses and hits at some positions."""
    kernel, bias = head
    for start in range(0, len(positions), 1024):
        rows = positions[start : start + 1024]
        scores = log_softmax(features.take(rows)[:, 0] @ kernel + bias, axis=1)
        losses[rows] = -scores[np.arange(len(rows)), labels[rows]]
        correct[rows] = scores.argmax(axis=1) == labels[rows]


def _one_standard_error(losses: np.ndarray) -> int:
    """The first row, strongest penalty first, within one error of the best."""
    means = np.nanmean(losses, axis=1)
    best = int(means.argmin())
    judged = losses[best][~np.isnan(losses[best])]
    error = judged.std() / np.sqrt(len(judged))
    return int(np.flatnonzero(means <= means[best] + error)[0])
