"""Whether a few examples can be learned by heart."""

import math

import numpy as np

from dropzoo.callbacks.compiled_loss import CompiledLoss
from dropzoo.callbacks.sanity_failure import SanityFailure
from dropzoo.callbacks.trial_training import TrialTraining

RATES = (1e-3, 1e-2, 1e-1)  # of Adam, tried in turn
NEAR_ZERO = 0.1  # of the loss of chance


def tiny_batch_failures(
    trial: TrialTraining,
    loss: CompiledLoss,
    x: np.ndarray,
    y: np.ndarray,
    steps: int,
) -> list[SanityFailure]:
    """Trains on a tiny batch until its loss is near zero.

    Regularisation of weights is not counted. The loss is near zero at a tenth
    of ln C, or of the first loss where the loss is no cross-entropy.

    Args:
        trial: Takes the steps.
        loss: The model's loss.
        x: Inputs of a tiny batch.
        y: Its labels.
        steps: Most steps with each rate.
    """
    trial.restart(RATES[0])
    first = loss.of_batch(x, y, trial.model(x, training=False))
    limit = NEAR_ZERO * (loss.of_chance or first)
    best = math.inf
    for rate in RATES:
        trial.restart(rate)
        for _ in range(steps):
            penalty = loss.penalty()
            best = min(best, trial.step(x, y) - penalty)
            if best <= limit:
                return []
        # Without the noise of dropout.
        last = loss.of_batch(x, y, trial.model(x, training=False))
        best = min(best, last)
        if best <= limit:
            return []
    cause = (
        loss.missing_activation()
        or loss.doubled_activation()
        or _contradiction(x, y)
        or "the network is probably too small or regularised too strongly, "
        "or too few of its layers train"
    )
    sentence = (
        f"{len(x)} examples cannot be learned by heart: their loss stays at "
        f"{best:.3g}, above {limit:.2g}; {cause}."
    )
    return [SanityFailure("tiny batch", sentence)]


def _contradiction(x: np.ndarray, y: np.ndarray) -> str | None:
    """Whether equal examples have different labels."""
    for first in range(len(x)):
        equal = (x == x[first]).reshape(len(x), -1).all(axis=1)
        different = (y != y[first]).reshape(len(y), -1).any(axis=1)
        if (equal & different).any():
            return "equal examples have different labels"
    return None
