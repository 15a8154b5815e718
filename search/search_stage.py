"""A stage of a search: where it looks, and what it tries next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dropzoo.search.stage_values import (
    Values,
    derive_seed,
    grid_values,
    random_values,
)
from dropzoo.search.trial_record import tried_values
from dropzoo.search.trial_scores import Settled

if TYPE_CHECKING:
    from keras_tuner import HyperParameters, Objective
    from keras_tuner.engine.trial import Trial

MOST_COLLISIONS = 100  # draws that were tried before: the space is exhausted


@dataclass
class SearchStage:
    """One stage.

    Args:
        number: From 1 on.
        kind: A key of `KINDS`.
        epochs: Of each trial.
        trials: The most trials.
        seed: Of all that is drawn here.
        space: Where it looks.
        objective: What is searched for.
        quasi_random: Whether random draws are those of a Sobol sequence.
        first: What the first trial tries instead of a draw: the best so far.
        drawn: Number of draws, those that were tried before among them.
        inner: State of KerasTuner's oracle of this kind.
        settled: What the median rule has said so far.
    """

    number: int
    kind: str
    epochs: int
    trials: int
    seed: int
    space: "HyperParameters"
    objective: "Objective"
    quasi_random: bool = False
    first: Values | None = None
    drawn: int = 0
    inner: dict[str, Any] = field(default_factory=dict)
    settled: Settled = field(default_factory=Settled)

    def propose(
        self, trial_id: str, trials: Sequence["Trial"]
    ) -> tuple[str, Values]:
        """What a trial is to try.

        Args:
            trial_id: Of the trial.
            trials: Those of this stage so far.

        Returns: KerasTuner's status, `"RUNNING"`, `"IDLE"` where results are
            awaited first, or `"STOPPED"` where there is nothing left; and the
            values.
        """
        if len(trials) >= self.trials:
            return "STOPPED", {}
        status, values = KINDS[self.kind](self, trial_id, trials)
        if status == "RUNNING":
            values.setdefault("tuner/epochs", self.epochs)
            values["tuner/stage"] = self.number
        return status, values

    def get_state(self) -> dict[str, Any]:
        """All that does not follow from the arguments of the search."""
        return {
            "kind": self.kind,
            "epochs": self.epochs,
            "trials": self.trials,
            "space": self.space.get_config()["space"],
            "first": self.first,
            "drawn": self.drawn,
            "inner": self.inner,
        }


def _propose_random(
    stage: SearchStage, trial_id: str, trials: Sequence["Trial"]
) -> tuple[str, Values]:
    if stage.first is not None and not trials:
        return "RUNNING", dict(stage.first)

    def draw() -> Values:
        stage.drawn += 1
        return random_values(
            stage.space, stage.seed, stage.drawn - 1, quasi=stage.quasi_random
        )

    return _new_values(draw, trials)


def _propose_grid(
    stage: SearchStage, trial_id: str, trials: Sequence["Trial"]
) -> tuple[str, Values]:
    points = grid_values(stage.space, stage.trials, stage.seed)
    if len(trials) >= len(points):
        return "STOPPED", {}
    return "RUNNING", points[len(trials)]


def _propose_bayesian(
    stage: SearchStage, trial_id: str, trials: Sequence["Trial"]
) -> tuple[str, Values]:
    """Asks a new oracle each time, which so needs no state of its own.

    A trial that still runs counts as if it had the worst score so far, so that
    the next one is not sent to the same place.
    """
    from keras_tuner.oracles import BayesianOptimizationOracle

    if stage.first is not None and not trials:
        return "RUNNING", dict(stage.first)
    told = _with_worst_scores(trials, stage.objective.direction)
    size = len(stage.space.space)

    def ask() -> Values:
        stage.drawn += 1
        oracle = BayesianOptimizationOracle(
            stage.objective,
            max_trials=stage.trials,
            num_initial_points=max(3, min(3 * size, stage.trials // 3)),
            seed=1 + derive_seed(stage.seed, stage.drawn) % 2**31,
            hyperparameters=stage.space.copy(),
        )
        oracle.trials = told
        return oracle.populate_space(trial_id)["values"] or {}

    return _new_values(ask, trials)


def _propose_hyperband(
    stage: SearchStage, trial_id: str, trials: Sequence["Trial"]
) -> tuple[str, Values]:
    from keras_tuner.oracles import HyperbandOracle

    oracle = HyperbandOracle(
        stage.objective,
        max_epochs=stage.epochs,
        hyperband_iterations=0,  # as many as there are trials for
        seed=1 + stage.seed % 2**31,
        hyperparameters=stage.space.copy(),
    )
    oracle.trials = {trial.trial_id: trial for trial in trials}
    if stage.inner:
        oracle.set_state({**oracle.get_state(), **stage.inner})
    running = [trial for trial in trials if trial.status == "RUNNING"]
    oracle.ongoing_trials = {trial.trial_id: trial for trial in running}
    answer = oracle.populate_space(trial_id)
    kept = "brackets", "current_bracket", "current_iteration", "seed_state"
    stage.inner = {name: oracle.get_state()[name] for name in kept}
    return answer["status"], answer.get("values") or {}


Propose = Callable[[SearchStage, str, Sequence["Trial"]], tuple[str, Values]]
KINDS: dict[str, Propose] = {
    "random": _propose_random,
    "grid": _propose_grid,
    "bayesian": _propose_bayesian,
    "hyperband": _propose_hyperband,
}


def _new_values(
    draw: Callable[[], Values], trials: Sequence["Trial"]
) -> tuple[str, Values]:
    """The first draw that no trial of the stage has tried."""
    tried = [tried_values(trial.hyperparameters.values) for trial in trials]
    for _ in range(MOST_COLLISIONS):
        values = draw()
        if values not in tried:
            return "RUNNING", values
    return "STOPPED", {}


def _with_worst_scores(
    trials: Sequence["Trial"], direction: str
) -> dict[str, "Trial"]:
    """The trials with a score, and those that run with the worst of these."""
    from keras_tuner.engine.trial import Trial

    told = {t.trial_id: t for t in trials if t.status == "COMPLETED"}
    scores = [trial.score for trial in told.values()]
    worst = (min if direction == "max" else max)(scores, default=None)
    for trial in trials:
        if trial.status == "RUNNING" and worst is not None:
            liar = Trial(trial.hyperparameters, trial.trial_id, "COMPLETED")
            liar.score = worst
            told[trial.trial_id] = liar
    return told
