"""The axis of scores, which a few bad trials do not press flat."""

import numpy as np

from .parameter_axis import ParameterAxis
from .search_record import SearchRecord, score_of
from .tuned_parameter import TunedParameter

# Of the distance from the best to the worst quarter: beyond this, losses that
# exploded would leave no room for those that tell something.
FARTHEST = 3.0


def score_axis(record: SearchRecord) -> ParameterAxis:
    """Makes the axis of a search's scores.

    Args:
        record: The search; it may have no scores.

    Returns: The axis. Scores beyond its worse end are placed there.
    """
    scores = np.array([score_of(trial) for trial in record.scored])
    ends = _ends(scores) if len(scores) else (0.0, 1.0)
    failed = len(scores) < len(record.trials)
    return ParameterAxis(TunedParameter(record.objective, ends), failed)


def num_beyond(axis: ParameterAxis, record: SearchRecord) -> int:
    """Counts the scores that are worse than the axis reaches.

    Args:
        axis: The axis of the scores.
        record: The search.
    """
    low, high = axis.parameter.ends or (-np.inf, np.inf)
    scores = [score_of(trial) for trial in record.scored]
    return sum(not low <= score <= high for score in scores)


def _ends(best_first: np.ndarray) -> tuple[float, float]:
    best, worst = best_first[0], best_first[-1]
    quarter = best_first[(3 * len(best_first)) // 4]
    farthest = best + FARTHEST * (quarter - best)
    if quarter != best and abs(worst - best) > abs(farthest - best):
        worst = farthest
    slack = 0.04 * abs(worst - best) or 0.05 * abs(best) or 1.0
    return float(min(best, worst) - slack), float(max(best, worst) + slack)
