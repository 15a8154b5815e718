"""The scores of a trial's epochs, as KerasTuner keeps them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dropzoo.search.median_rule import last_epoch

if TYPE_CHECKING:
    from keras_tuner import Objective
    from keras_tuner.engine.trial import Trial


def sign_of(objective: "Objective") -> int:
    """What makes a higher score the better one.

    Args:
        objective: To be maximised or minimised.
    """
    return 1 if objective.direction == "max" else -1


def note_metrics(
    trial: "Trial",
    objective: "Objective",
    metrics: Mapping[str, float],
    step: int,
) -> None:
    """Adds an epoch to a trial, in the place of the same one before.

    Args:
        trial: Which may be running for the second time.
        objective: Whose direction is known.
        metrics: By name.
        step: The epoch, from 0 on.
    """
    for name, value in metrics.items():
        if not trial.metrics.exists(name):
            is_objective = name == objective.name
            direction = objective.direction if is_objective else None
            trial.metrics.register(name, direction=direction)
        seen = [x for x in trial.metrics.get_history(name) if x.step == step]
        if seen:
            seen[0].value = [float(value)]
        else:
            trial.metrics.update(name, float(value), step=step)


def scores_of(trial: "Trial", objective: "Objective") -> list[float]:
    """The score of each epoch, higher being better.

    Args:
        trial: The trial.
        objective: What is searched for.

    Returns: The scores; none where `fit` of the hypermodel told only one.
    """
    if not trial.metrics.exists(objective.name):
        return []
    seen = trial.metrics.get_history(objective.name)
    if [x.step for x in seen] != list(range(len(seen))):
        return []
    return [sign_of(objective) * float(x.mean()) for x in seen]


@dataclass
class Settled:
    """What is final in a stage.

    Args:
        number: How many trials are, from the first one on.
        scores: Those of them that did not fail, higher being better.
        cuts: Trials that the median rule ends, and after which epoch.
    """

    number: int = 0
    scores: list[list[float]] = field(default_factory=list)
    cuts: list[tuple["Trial", int]] = field(default_factory=list)

    def go_on(
        self,
        trials: Sequence["Trial"],
        ended: Collection[str],
        objective: "Objective",
    ) -> None:
        """Finds what the median rule says of the trials that have ended since.

        Several at once end in any order. So that they come to the same as one
        after the other, each is measured against all before it, and only once
        these have ended.

        Args:
            trials: All of the stage, in the order of their numbers.
            ended: The `trial_id` of those that have ended.
            objective: What is searched for.
        """
        for trial in trials[self.number :]:
            if trial.trial_id not in ended:
                return
            self.number += 1
            scores = scores_of(trial, objective)
            if trial.status != "COMPLETED" or not scores:
                continue
            planned = trial.hyperparameters.values["tuner/epochs"]
            epoch = last_epoch(scores[: planned - 1], self.scores)
            if epoch is not None:
                self.cuts.append((trial, epoch))
            self.scores.append(scores[:epoch])


def cut_trial(trial: "Trial", epochs: int) -> None:
    """Forgets what a trial did after an epoch, and says so.

    Args:
        trial: That has ended; its score is to be taken anew.
        epochs: Number of epochs that count.
    """
    values = trial.hyperparameters.values
    state = trial.get_state()
    for metric in state["metrics"]["metrics"].values():
        metric["observations"] = [
            seen for seen in metric["observations"] if seen["step"] < epochs
        ]
    trial.set_state(state)
    trial.message = (
        f"Stopped after epoch {epochs} of {values['tuner/epochs']}, behind "
        f"the median of stage {values['tuner/stage']}."
    )
