"""Decides what a coarse-to-fine search tries, and when it is done."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial

from dropzoo.models.atomic_write import atomic_write
from dropzoo.search.median_rule import is_hopeless
from dropzoo.search.narrow_space import narrow_space
from dropzoo.search.search_plan import check_plan
from dropzoo.search.search_stage import SearchStage
from dropzoo.search.stage_values import derive_seed
from dropzoo.search.trial_failure import sentence_of_failures
from dropzoo.search.trial_record import MEASURED, TUNER, tried_values
from dropzoo.search.trial_scores import (
    cut_trial,
    note_metrics,
    scores_of,
    sign_of,
)


class CoarseToFineOracle(keras_tuner.Oracle):
    """Chooses the trials of a `CoarseToFine` search.

    The first stage looks everywhere, with few epochs for each trial. Each
    further one looks around the best of the stage before it, see
    `narrow_space`, and begins with the best itself. `CoarseToFine` describes
    the arguments.

    A trial belongs to the process that asked for it until that has not been
    heard of for `lost_after` seconds; then the next one to ask gets it.

    Args:
        objective: What to search for, a name or a `keras_tuner.Objective`.
        max_trials: The most trials, shared equally by the stages.
        stages: The kind of each stage.
        epochs: The number of epochs of a trial in each.
        seed: Of everything that is drawn.
        quasi_random: Whether random stages use a Sobol sequence.
        stop_hopeless: Whether trials behind the median are ended.
        lost_after: Seconds, see above.

    Raises: ValueError where an argument breaks its rule.
    """

    def __init__(
        self,
        objective: Any = "val_accuracy",
        *,
        max_trials: int = 50,
        stages: Sequence[str] = ("random", "random"),
        epochs: Sequence[int] = (1, 5),
        seed: int = 0,
        quasi_random: bool = False,
        stop_hopeless: bool = True,
        lost_after: float = 60.0,
    ):
        check_plan(max_trials, stages, epochs, seed)
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            max_consecutive_failed_trials=max_trials + 1,  # seen to here
        )
        if not isinstance(self.objective, keras_tuner.Objective) or hasattr(
            self.objective, "objectives"
        ):
            raise ValueError(
                "CoarseToFine: `objective` must be the name of one metric or "
                f"one keras_tuner.Objective. Received: objective={objective!r}"
            )
        self.seed = seed  # KerasTuner takes 0 for none
        self._seed_state = seed
        self.stages = tuple(stages)
        self.epochs = tuple(epochs)
        self.quasi_random = quasi_random
        self.stop_hopeless = stop_hopeless
        self.lost_after = lost_after
        self.verdict: str | None = None  # why there is no use in going on
        self._begun: list[SearchStage] = []
        self._heard: dict[str, float] = {}
        self.verbose = 0

    _tuner_ids: set[str]

    @property
    def tuner_ids(self) -> set[str]:
        """The processes at work; a chief waits for them before it ends."""
        oldest = time.monotonic() - self.lost_after
        self._tuner_ids = {
            name
            for name in self._tuner_ids
            if self._heard.get(name, oldest) >= oldest
        }
        return self._tuner_ids

    @tuner_ids.setter
    def tuner_ids(self, names: set[str]) -> None:
        self._tuner_ids = names

    @keras_tuner.synchronized
    def create_trial(self, tuner_id: str) -> Trial:
        self._heard[tuner_id] = time.monotonic()
        if tuner_id not in self.ongoing_trials:
            self.tuner_ids.add(tuner_id)
            if lost := self._lost_tuner():
                self.ongoing_trials[tuner_id] = self.ongoing_trials.pop(lost)
                self.save()
            elif self.verdict:
                self.tuner_ids.discard(tuner_id)
                return Trial(self.get_space(), "", "STOPPED")
            elif (
                self.ongoing_trials
                and not self._retry_queue
                and self.remaining_trials() == 0
            ):
                return Trial(self.get_space(), "", "IDLE")  # may be lost yet
        return super().create_trial(tuner_id)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        while True:
            if not self._begun:
                self._begin_stage(self.get_space(), None)
            stage = self._begun[-1]
            trials = self._trials_of(stage)
            status, values = stage.propose(trial_id, trials)
            if status != "STOPPED":
                return {"status": status, "values": values}
            if self.ongoing_trials:
                return {"status": "IDLE"}
            ranked = self._ranked(trials)
            if not ranked:
                self.verdict = sentence_of_failures(trials)
            if not ranked or len(self._begun) == len(self.stages):
                return {"status": "STOPPED"}
            narrowed = narrow_space(self.get_space(), stage.space, ranked)
            self._begin_stage(narrowed, ranked[0])

    @keras_tuner.synchronized
    def get_trial(self, trial_id: str) -> Trial:
        self._hear_of(trial_id)
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def update_trial(
        self, trial_id: str, metrics: dict[str, float], step: int = 0
    ) -> Trial:
        """Notes the metrics of an epoch, which a repeated trial sends again.

        Returns: The trial; with the status `"STOPPED"` if it is hopeless, or
            another process has ended it.
        """
        self._hear_of(trial_id)
        trial = self.trials[trial_id]
        has_ended = trial_id in self.end_order
        if not has_ended:
            note_metrics(trial, self.objective, metrics, int(step))
            self._save_trial(trial)
        if has_ended or self._has_no_hope(trial, step):
            trial = Trial.from_state(trial.get_state())
            trial.status = "STOPPED"
        return trial

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        """Ends a trial; of two processes that ran it, the first one counts.

        What KerasTuner's messages between machines have no field for comes in
        the values `"tuner/message"` and `"tuner/seconds"`.
        """
        if trial.trial_id in self.end_order:
            return
        values = dict(trial.hyperparameters.values)
        message = values.pop(f"{TUNER}message", trial.message)
        seconds = values.pop(f"{TUNER}seconds", 0.0)
        parameters = self.trials[trial.trial_id].hyperparameters
        parameters.merge(trial.hyperparameters, overwrite=False)
        parameters.values.update(values)
        with atomic_write(self._trial_folder(trial) / MEASURED) as part:
            part.write_text(json.dumps({"seconds": seconds}))
        super().end_trial(
            Trial(parameters, trial.trial_id, trial.status, message)
        )
        self._cut_hopeless(self._begun[-1])
        ended = [self.trials[name] for name in self.end_order]
        self.verdict = self.verdict or sentence_of_failures(ended, last=3)
        self.save()  # without the trial among those that run

    def get_state(self) -> dict[str, Any]:
        state = super().get_state()
        state["tried_so_far"] = sorted(state["tried_so_far"])
        state["stages"] = [stage.get_state() for stage in self._begun]
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._begun = []
        for kept in state["stages"]:
            space = keras_tuner.HyperParameters.from_config(
                {"space": kept["space"], "values": {}}
            )
            self._begin_stage(space, kept["first"])
            stage = self._begun[-1]
            stage.trials, stage.drawn = kept["trials"], kept["drawn"]
            stage.inner = kept["inner"]

    def save(self) -> None:
        with atomic_write(Path(self._get_oracle_fname())) as part:
            part.write_text(json.dumps(self.get_state()))

    def reload(self) -> None:
        super().reload()
        # A search may be killed between any two of its files.
        self._retry_queue = sorted(
            set(self.trials).difference(self.end_order), reverse=True
        )

    def _save_trial(self, trial: Trial) -> None:
        with atomic_write(self._trial_folder(trial) / "trial.json") as part:
            part.write_text(json.dumps(trial.get_state()))

    def _trial_folder(self, trial: Trial) -> Path:
        return Path(self._get_trial_dir(trial.trial_id))

    def _begin_stage(self, space: Any, first: dict[str, Any] | None) -> None:
        number = len(self._begun) + 1
        left = len(self.stages) - len(self._begun)
        self._begun.append(
            SearchStage(
                number=number,
                kind=self.stages[number - 1],
                epochs=self.epochs[number - 1],
                trials=-(-(self.max_trials - len(self.trials)) // left),
                seed=derive_seed(self.seed, number),
                space=space,
                objective=self.objective,
                quasi_random=self.quasi_random,
                first=first,
            )
        )

    def _trials_of(self, stage: SearchStage) -> list[Trial]:
        """The trials of a stage in the order of their numbers."""
        return [
            trial
            for _, trial in sorted(self.trials.items())
            if trial.hyperparameters.values[f"{TUNER}stage"] == stage.number
        ]

    def _ranked(self, trials: list[Trial]) -> list[dict[str, Any]]:
        """What those with a score tried, best first."""
        scored = [trial for trial in trials if trial.status == "COMPLETED"]
        scored.sort(key=lambda x: -sign_of(self.objective) * x.score)
        return [tried_values(x.hyperparameters.values) for x in scored]

    def _hear_of(self, trial_id: str) -> None:
        for tuner_id, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                self._heard[tuner_id] = time.monotonic()

    def _lost_tuner(self) -> str | None:
        """A process with a trial that was not heard of for too long."""
        oldest = time.monotonic() - self.lost_after
        for tuner_id in self.ongoing_trials:
            if self._heard[tuner_id] < oldest:
                return tuner_id
        return None

    def _has_no_hope(self, trial: Trial, step: int) -> bool:
        stage = self._begun[trial.hyperparameters.values[f"{TUNER}stage"] - 1]
        planned = trial.hyperparameters.values[f"{TUNER}epochs"]
        scores = scores_of(trial, self.objective)[: step + 1]
        if not self._has_rule(stage) or len(scores) >= planned:
            return False
        trials = self._trials_of(stage)
        stage.settled.go_on(trials, self.end_order, self.objective)
        pending = trials.index(trial) - stage.settled.number
        return is_hopeless(scores, stage.settled.scores, pending=pending)

    def _cut_hopeless(self, stage: SearchStage) -> None:
        """Ends trials where the median rule would have ended them."""
        if not self._has_rule(stage):
            return
        trials = self._trials_of(stage)
        stage.settled.go_on(trials, self.end_order, self.objective)
        for trial, epoch in stage.settled.cuts:
            if not trial.message:
                cut_trial(trial, epoch)
                self.score_trial(trial)
                self._save_trial(trial)

    def _has_rule(self, stage: SearchStage) -> bool:
        return self.stop_hopeless and stage.kind != "hyperband"
