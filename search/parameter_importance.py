"""How much the order of the trials depends on each parameter.

A random forest learns the rank of a trial's score from its settings; a
parameter counts by how much worse the forest ranks trials that it has not
seen when the values of that parameter are shuffled among them. Ranks, so that
a loss that exploded does not drown the others, and the same answer comes
whether losses or accuracies were compared.

References: Breiman, "Random Forests", 2001, section 10 (shuffled values,
out-of-bag estimates); Jansen, "Analysis of variance designs for model output",
1999 (the total effect as half of a mean squared difference).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .parameter_axis import axis_of
from .search_record import SearchRecord

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

FEWEST_TRIALS = 20  # below, nothing is said
LEAST_R2 = 0.2  # out of bag; of scores that are noise, 1 search in 30 has it
EPOCHS = "epochs"
TREES, FOLDS, REPEATS = 60, 5, 3


@dataclass(frozen=True)
class Importance:
    """What a forest made of a search.

    Attributes:
        num_trials: Number of trials with a score.
        r2: Share of the variance of ranks that it predicts for trials that
            a tree has not seen; `None` where there were too few trials.
        shares: By parameter, the most important first: the share of the
            variance that depends on it, alone or together with others, so
            that the sum may exceed 1. Empty where nothing can be said.
    """

    num_trials: int
    r2: float | None
    shares: dict[str, float]


def parameter_importance(record: SearchRecord) -> Importance:
    """Measures the importance of each parameter of a search.

    Where the tuner set unequal numbers of epochs for the trials, these count
    as one more parameter, called `epochs`. Those that a trial ran do not: the
    median rule makes them follow from its score.

    Args:
        record: The search.

    Returns: The importance, which is empty below 20 trials with a score or
        where the forest predicts less than a fifth of the variance.
    """
    from scipy.stats import rankdata

    scored = record.scored
    if len(scored) < FEWEST_TRIALS:
        return Importance(len(scored), None, {})
    names, settings = _settings(record)
    ranks = rankdata([trial.score for trial in scored]) / len(scored)
    if ranks.std() == 0 or not names:
        return Importance(len(scored), 0.0, {})
    forest = _forest()
    r2 = float(forest.fit(settings, ranks).oob_score_)
    if r2 < LEAST_R2:
        return Importance(len(scored), r2, {})
    lost = _lost(forest, settings, ranks)
    order = np.argsort(-lost)
    return Importance(
        len(scored), r2, {names[i]: float(lost[i]) for i in order}
    )


def _settings(record: SearchRecord) -> tuple[list[str], np.ndarray]:
    """Places the trials with a score on the axis of each parameter.

    Returns: Names; places of shape `(trials, names)`.
    """
    scored = record.scored
    names = [parameter.name for parameter in record.parameters]
    columns = [
        [axis.place(trial.values.get(name)) for trial in scored]
        for name, axis in zip(
            names,
            (axis_of(p, scored) for p in record.parameters),
            strict=True,
        )
    ]
    epochs = [float(trial.planned_epochs) for trial in scored]
    if len(set(epochs)) > 1:
        names.append(EPOCHS)
        columns.append(epochs)
    return names, np.array(columns).T.reshape(len(scored), -1)


def _forest() -> "RandomForestRegressor":
    from sklearn.ensemble import RandomForestRegressor

    # Choices stay numbers: trees cut them apart in a few steps.
    return RandomForestRegressor(
        TREES, oob_score=True, min_samples_leaf=2, random_state=0
    )


def _lost(
    forest: "RandomForestRegressor", settings: np.ndarray, ranks: np.ndarray
) -> np.ndarray:
    """Half of what the squared error on held-out trials rises by.

    Over the variance, which makes it the total effect of a parameter: two
    trials that differ in it alone lie apart by twice what it accounts for.
    """
    from sklearn.base import clone
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    rises = np.zeros(settings.shape[1])
    for learn, judge in KFold(FOLDS, shuffle=True, random_state=0).split(ranks):
        fitted = clone(forest).fit(settings[learn], ranks[learn])
        measured = permutation_importance(
            fitted,
            settings[judge],
            ranks[judge],
            scoring="neg_mean_squared_error",
            n_repeats=REPEATS,
            random_state=0,
        )
        rises += measured.importances_mean * len(judge)
    return rises / (2 * len(ranks) * ranks.var())
