"""A search as its project folder tells it: trials, ranges and objective."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from .trial_record import TrialRecord, read_trials
from .tuned_parameter import TunedParameter, parameters_of

RUNNING = ("RUNNING", "IDLE")


@dataclass(frozen=True)
class StageRecord:
    """A stage of `CoarseToFine`: where and how it looked.

    Attributes:
        kind: How it drew, such as `random`.
        epochs: Of each of its trials.
        parameters: Its ranges, also of what it held fixed.
    """

    kind: str
    epochs: int
    parameters: Sequence[TunedParameter]


@dataclass(frozen=True)
class SearchRecord:
    """All that a report of a search needs to know.

    Attributes:
        trials: In the order in which they began.
        parameters: What was varied.
        objective: Name of what was measured, such as `val_accuracy`.
        maximized: Whether more of it is better.
        stages: What `CoarseToFine` has begun; empty for other tuners.
    """

    trials: Sequence[TrialRecord]
    parameters: Sequence[TunedParameter]
    objective: str
    maximized: bool
    stages: Sequence[StageRecord] = ()

    @property
    def scored(self) -> list[TrialRecord]:
        """The trials that have a score, the best first."""
        return sorted(
            filter(is_scored, self.trials), key=score_of, reverse=self.maximized
        )

    @property
    def failed(self) -> list[TrialRecord]:
        """The trials that ended without a score."""
        return [
            trial
            for trial in self.trials
            if not is_scored(trial) and trial.status.upper() not in RUNNING
        ]


def is_scored(trial: TrialRecord) -> bool:
    """Whether a trial has a finite score."""
    return trial.score is not None and math.isfinite(trial.score)


def score_of(trial: TrialRecord) -> float:
    """Returns the score, NaN where a trial has none."""
    return math.nan if trial.score is None else trial.score


def read_search(folder: Path) -> SearchRecord:
    """Reads a KerasTuner project, finished or under way.

    Args:
        folder: The project folder, which holds `oracle.json`.

    Returns: The search.

    Raises: ValueError where the folder is not that of a search.
    """
    trials = read_trials(folder)
    state = json.loads((folder / "oracle.json").read_text("utf-8"))
    parameters = parameters_of(state["hyperparameters"]["space"])
    return SearchRecord(
        trials,
        [parameter for parameter in parameters if parameter.varies],
        *_objective(folder),
        [_stage(stage) for stage in state.get("stages", [])],
    )


def _stage(state: dict[str, Any]) -> StageRecord:
    parameters = parameters_of(state["space"])
    return StageRecord(state["kind"], state["epochs"], parameters)


def _objective(folder: Path) -> tuple[str, bool]:
    """Finds the metric whose best value is the score of every trial.

    KerasTuner does not write down what it judges by. Where no metric fits,
    an oracle has scores of its own; they are taken to be small where good.
    """
    states = [
        state
        for file in sorted(folder.glob("trial_*/trial.json"))
        if (state := json.loads(file.read_text("utf-8")))["score"] is not None
    ]
    names = states[0]["metrics"]["metrics"] if states else {}
    fitting = [name for name in names if all(_fits(s, name) for s in states)]
    if not fitting:
        return "score", False
    # Of two that are equal, searches judge by the one of validation.
    name = min(fitting, key=lambda name: (not name.startswith("val_"), name))
    return name, names[name]["direction"] == "max"


def _fits(state: dict[str, Any], name: str) -> bool:
    metric = state["metrics"]["metrics"].get(name)
    if metric is None:
        return False
    # The best epoch, of the mean over the executions of a trial.
    means = [fmean(seen["value"]) for seen in metric["observations"]]
    choose = max if metric["direction"] == "max" else min
    best = choose(filter(math.isfinite, means), default=math.nan)
    return math.isclose(best, state["score"])
