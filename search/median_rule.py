"""Ends trials early that fall behind most others at the same epoch."""

import math
import statistics
from collections.abc import Sequence

FEWEST = 5  # trials that a median speaks for


def is_hopeless(
    scores: Sequence[float],
    others: Sequence[Sequence[float]],
    *,
    pending: int = 0,
) -> bool:
    """Whether a trial is behind the median of others at its epoch.

    A trial counts with its best epoch so far, and one that was itself ended
    early with the best that it had. With fewer than 5 others nothing is said.

    Args:
        scores: Of the trial's epochs so far, higher being better.
        others: Those of finished trials of the same stage.
        pending: Number of further trials of which nothing is known yet: the
            answer is yes only if it will be, however they end.

    Example:
        >>> others = [[0.2, 0.3], [0.4, 0.6], [0.5, 0.5], [0.6, 0.8], [0.7]]
        >>> is_hopeless([0.3], others), is_hopeless([0.3, 0.6], others)
        (True, False)

    Reference: Golovin et al., "Google Vizier", 2017, Section 3.2.2, with the
    best where it has the mean of the others' epochs.
    """
    epochs = len(scores)
    if not epochs or len(others) < FEWEST:
        return False
    reached = [max(other[:epochs]) for other in others if other]
    unknown = [-math.inf] * pending
    return max(scores) < statistics.median([*reached, *unknown])


def last_epoch(
    scores: Sequence[float], others: Sequence[Sequence[float]]
) -> int | None:
    """Number of epochs after which the rule ends a trial.

    Args:
        scores: Of all epochs that the trial has run.
        others: As in `is_hopeless`.

    Returns: The number, or `None` where the rule never does.

    Example:
        >>> last_epoch([0.3, 0.1, 0.9], [[0.2, 0.2, 0.2]] * 5) is None
        True
        >>> last_epoch([0.3, 0.1, 0.9], [[0.2, 0.4, 0.4]] * 5)
        2
    """
    for epoch in range(1, len(scores) + 1):
        if is_hopeless(scores[:epoch], others):
            return epoch
    return None
