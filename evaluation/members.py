"""What the members of an ensemble are worth, alone and together."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Contender:
    """A model of the comparison.

    Attributes:
        name: Such as "snapshot 2 (epoch 8)" or "last 3 together".
        validation_error: Share of wrong answers on the validation images;
            `None` without any.
        validation_loss: Mean negative log-likelihood there, in nats.
        test_error: As `validation_error`, on the test images.
        test_loss: As `validation_loss`, on the test images.
    """

    name: str
    validation_error: float | None = None
    validation_loss: float | None = None
    test_error: float | None = None
    test_loss: float | None = None


@dataclass(frozen=True, eq=False)
class EnsembleFigures:
    """The comparison of an ensemble with its members, and with others.

    Attributes:
        contenders: The models, in the order in which to list them.
        kept: Name of the one that was kept.
        reason: A sentence: what was kept, and by what.
        last: Name of the last member alone.
        members: Short names of the members, in order.
        disagreement: `(members, members)` shares of images to which two
            members give different answers.
        measured_on: Name of the split of the disagreement.
        picture: A PNG file with the learning rate and the members on it.
    """

    contenders: tuple[Contender, ...]
    kept: str
    reason: str
    last: str = ""
    members: tuple[str, ...] = ()
    disagreement: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    measured_on: str = "test"
    picture: bytes = b""

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as numbers, lists and dicts, ready for JSON."""
        return {
            "contenders": [asdict(x) for x in self.contenders],
            "kept": self.kept,
            "disagreement": self.disagreement.tolist(),
            "measured_on": self.measured_on,
        }


def last_means(probabilities: np.ndarray) -> np.ndarray:
    """Averages the last one, two, ... of several tables of probabilities.

    Args:
        probabilities: `(members, images, classes)`, the oldest member first.

    Returns: `(members, images, classes)`; position `m - 1` is the mean of the
        last `m`.
    """
    sums = np.cumsum(probabilities[::-1], axis=0, dtype="float64")
    counts = np.arange(1, len(probabilities) + 1)
    return sums / counts[:, np.newaxis, np.newaxis]


def disagreement(probabilities: np.ndarray) -> np.ndarray:
    """Shares of images to which two members give different answers.

    Args:
        probabilities: `(members, images, classes)`.

    Returns: `(members, members)`, symmetric, with zeros on the diagonal.
    """
    answers = probabilities.argmax(axis=2)  # (members, images)
    return (answers[:, np.newaxis] != answers[np.newaxis]).mean(axis=2)


def error_and_loss(
    probabilities: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """Share of wrong answers and mean negative log-likelihood.

    Args:
        probabilities: `(images, classes)`; below 1e-15 counts as 1e-15.
        labels: `(images,)` integers.
    """
    wrong = probabilities.argmax(axis=1) != labels
    chosen = probabilities[np.arange(len(labels)), labels]
    loss = -np.log(np.clip(chosen, 1e-15, 1.0)).mean()
    return float(wrong.mean()), float(loss)
