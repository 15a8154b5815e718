"""What happens after each epoch of a trial."""

import json
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dropzoo.callbacks.callback_states import (
    check_states,
    get_state,
    pack,
    set_state,
    unpack,
)
from dropzoo.callbacks.checkpoint_files import (
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from dropzoo.callbacks.process_streams import get_streams, set_streams
from dropzoo.models.atomic_write import atomic_write
from dropzoo.search.trial_failure import sentence_of_divergence
from dropzoo.search.trial_job import BUILD, WEIGHTS, Report, TrialJob

STATE = ".state"  # folder of the checkpoints of a trial that runs


class TrialEpochs(keras.callbacks.Callback):
    """Reports each epoch of a trial, and keeps what it goes on from.

    *When it acts:* at the end of each epoch. *Reads:* all metrics. *Writes:*
    the weights of the best epoch, and from time to time a checkpoint, both
    into the folder of the trial. It ends a training whose metrics are no
    numbers any more, or that the search gives up. *Order:* behind all others.
    *Resume:* `restore`, before `fit`.

    Args:
        job: The trial.
        report: As in `run_trial`.
        others: All other callbacks, whose state is kept, too. One that keeps
            it to itself makes an interrupted trial start again.
    """

    def __init__(
        self,
        job: TrialJob,
        report: Report,
        others: Sequence[keras.callbacks.Callback] = (),
    ):
        super().__init__()
        self.job = job
        self.report = report
        self.others = others
        self.fault: str | None = None
        self.history: list[dict[str, float]] = []
        self._saved: Checkpoint | None = None
        self._saved_at = time.monotonic()
        self._can_resume = job.checkpoint_seconds is not None

    def restore(self, model: keras.Model) -> int:
        """Puts the last checkpoint of this trial into its network.

        Args:
            model: Built and compiled anew.

        Returns: The epoch to go on with.
        """
        first = self.job.initial_epoch
        try:
            check_states(self.others)
        except TypeError:
            self._can_resume = False
        if not (self._can_resume and model.built and model.compiled):
            self._can_resume = False
            return first
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._saved = read_checkpoint(
            self.job.folder / STATE, lambda saved: self._fault_of(saved, model)
        )
        if self._saved is None:
            return first
        self.history = self._saved.facts["history"]
        self._put_back_variables(model)
        if self._saved.facts["stopped"]:
            return self.job.epochs
        return first + len(self.history)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._saved is not None:
            arrays, facts = self._saved
            states = unpack(facts["states"], arrays)
            for callback, state in zip(self.others, states, strict=True):
                set_state(callback, state)
            set_streams(unpack(facts["streams"], arrays))

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        self.fault = sentence_of_divergence(epoch, metrics)
        if self.fault is not None:
            self.model.stop_training = True
            return
        if self.job.keep_weights and self._is_best(metrics):
            self._keep_weights()
        self.history.append(metrics)
        goes_on = self.report(epoch, metrics)
        self.model.stop_training = self.model.stop_training or not goes_on
        self._keep_checkpoint()

    def _is_best(self, metrics: dict[str, float]) -> bool:
        name, direction = self.job.objective
        sign = 1 if direction == "max" else -1
        seen = [sign * x[name] for x in self.history if name in x]
        if name not in metrics:
            return True  # the score comes in the end, of the last weights
        return not seen or sign * metrics[name] > max(seen)

    def _keep_weights(self) -> None:
        with atomic_write(self.job.folder / WEIGHTS) as part:
            self.model.save_weights(part)
        config = json.dumps(self.model.get_build_config())
        (self.job.folder / BUILD).write_text(config, encoding="utf-8")

    def _keep_checkpoint(self) -> None:
        often = self.job.checkpoint_seconds
        waited = time.monotonic() - self._saved_at
        if not self._can_resume or often is None or waited < often:
            return
        arrays = {
            name: np.asarray(keras.ops.convert_to_numpy(variable), order="C")
            for name, variable in _variables(self.model).items()
        }
        facts = {
            "seed": self.job.seed,
            "stopped": bool(self.model.stop_training),
            "history": self.history,
            "streams": pack(get_streams(), arrays, "streams"),
            "states": [
                pack(get_state(callback), arrays, f"callback/{number}")
                for number, callback in enumerate(self.others)
            ],
        }
        folder, epochs = self.job.folder / STATE, len(self.history)
        write_checkpoint(folder, epochs, Checkpoint(arrays, facts))
        self._saved_at = time.monotonic()

    def _fault_of(self, saved: Checkpoint, model: keras.Model) -> str | None:
        shapes = {k: tuple(v.shape) for k, v in _variables(model).items()}
        found = {k: saved.arrays[k].shape for k in shapes if k in saved.arrays}
        if found != shapes or saved.facts["seed"] != self.job.seed:
            return "its tensors are not those of this trial"
        return None

    def _put_back_variables(self, model: keras.Model) -> None:
        if self._saved is not None:
            for name, variable in _variables(model).items():
                variable.assign(self._saved.arrays[name])


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Every variable that decides the next step, by kind and position."""
    kinds = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {
        f"{kind}/{position}": variable
        for kind, variables in kinds.items()
        for position, variable in enumerate(variables)
    }
