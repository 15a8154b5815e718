"""Keeps a model at each minimum of the learning rate, and averages them."""

import json
from pathlib import Path
from typing import Any

import keras

from dropzoo.callbacks.rate_cycles import RateCycles
from dropzoo.callbacks.steps_taken import optimizer_schedule, steps_taken
from dropzoo.models.atomic_write import atomic_write, remove_parts
from dropzoo.models.averaged_outputs import Averaged
from dropzoo.models.class_outputs import gives_logits
from dropzoo.models.ensemble import ensemble

INDEX = "snapshots.json"


class SnapshotEnsemble(keras.callbacks.Callback):
    """Saves a snapshot at the end of each cycle of the learning rate.

    *When it acts:* after the batch that was trained at a minimum of the rate,
    before the restart; and at the end of the last planned epoch, if the rate
    has come to its end there. *Reads:* the optimizer's step counter, the rate,
    and the `val_` logs of an epoch that ends with a snapshot. *Writes:* into
    its directory `snapshot-STEP.weights.h5`, one file for each snapshot, and
    `snapshots.json`, their steps and validation scores; each of them
    atomically. *Order:* before `ExactResume`, behind whatever else changes
    weights or logs. *Resume:* `get_state` and `set_state` hold the list of
    snapshots; without them it is read from the directory. Snapshots from steps
    that the optimizer has not taken are removed when a training begins: what
    follows takes them again.

    A cycle that ends in the middle of an epoch gives a snapshot without
    validation scores. Best let a cycle take whole epochs.

    Args:
        directory: Where to keep the snapshots.
        schedule: A `keras.optimizers.schedules.LearningRateSchedule` whose
            minima count. `None`: the optimizer's.
        keep: Largest number of snapshots, at least 1; the oldest goes before
            a new one comes. `None` keeps all.

    Raises:
        TypeError: `schedule` is not a schedule.
        ValueError: `keep` is below 1; when `fit` begins, the optimizer has no
            schedule; in `fit`, a cycle ends within several steps that are
            executed at once.

    Example:

    ```python
    cycles = SnapshotEnsemble("runs/cycles", keep=3)
    rate = SnapshotCosine(0.1, decay_steps=30 * 120, num_cycles=6)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), ...)
    model.fit(images, labels, epochs=30, callbacks=[cycles])
    cycles.ensemble().save("ensemble.keras")
    ```

    Reference: Huang et al., "Snapshot Ensembles: Train 1, Get M for Free",
        2017, section 3.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        schedule: keras.optimizers.schedules.LearningRateSchedule | None = None,
        keep: int | None = None,
    ):
        super().__init__()
        kind = keras.optimizers.schedules.LearningRateSchedule
        if schedule is not None and not isinstance(schedule, kind):
            raise TypeError(
                "SnapshotEnsemble: `schedule` must be a LearningRateSchedule "
                f"or None. Received: schedule={schedule!r}"
            )
        if keep is not None and keep < 1:
            raise ValueError(
                "SnapshotEnsemble: `keep` must be at least 1 or None. "
                f"Received: keep={keep!r}"
            )
        self.directory = Path(directory)
        self.schedule = schedule
        self.keep = keep
        self.snapshots: list[dict[str, Any]] = []

    def get_state(self) -> dict[str, Any]:
        """What `ExactResume` saves: the list of snapshots."""
        return {"snapshots": [dict(entry) for entry in self.snapshots]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a saved list of snapshots over.

        Args:
            state: From `get_state`.
        """
        self.snapshots = [dict(entry) for entry in state["snapshots"]]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        schedule = self.schedule or optimizer_schedule(optimizer)
        self._cycles = RateCycles(schedule, steps_taken(optimizer))
        self._drop_later_than(self._cycles.step)
        remove_parts(self.directory, "snapshot*")

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        taken = steps_taken(self.model.optimizer)
        while self._cycles.step < taken:
            if self._cycles.advance():
                if self._cycles.step < taken:
                    raise ValueError(
                        "SnapshotEnsemble: `steps_per_execution` must divide "
                        "the steps of each cycle. Received: a cycle that ends "
                        f"with step {self._cycles.step}, within steps "
                        f"executed together up to {taken}"
                    )
                self._take()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        is_last = epoch + 1 == self.params["epochs"]
        if is_last and self._cycles.at_rest() and not self._is_taken():
            self._take()
        scores = {
            name: float(value)
            for name, value in (logs or {}).items()
            if name.startswith("val_")
        }
        if scores and self._is_taken():
            self.snapshots[-1]["scores"] = scores
            self._write_index()

    def ensemble(
        self,
        *,
        average: Averaged = "probabilities",
        from_logits: bool | None = None,
    ) -> keras.Model:
        """Builds the model that averages the snapshots' probabilities.

        Args:
            average: "probabilities" or "logits", as `dropzoo.models.ensemble`
                averages them.
            from_logits: Whether the trained model gives logits. `None` finds
                out from its last layer and its compiled loss.

        Returns: A functional model on the inputs of the trained one, of
            Keras's own layers where the trained model is, apart from those
            that only act in training.

        Raises: ValueError when there is no snapshot yet, or the model's
            outputs cannot be averaged.
        """
        if not self.snapshots:
            raise ValueError(
                f"SnapshotEnsemble: {self.directory} holds no snapshot of "
                "this training; train to the end of a cycle first."
            )
        if from_logits is None:
            from_logits = gives_logits(self.model)
        return ensemble(
            map(self._member, self.snapshots),
            average=average,
            from_logits=from_logits,
        )

    def _member(self, entry: dict[str, Any]) -> keras.Model:
        member = keras.models.clone_model(self.model)
        member.load_weights(self.directory / entry["file"])
        member.name = f"snapshot_{entry['step']}"
        return member

    def _is_taken(self) -> bool:
        """Whether the last snapshot is of the last step."""
        steps = [entry["step"] for entry in self.snapshots[-1:]]
        return steps == [self._cycles.step]

    def _take(self) -> None:
        step = self._cycles.step
        file = f"snapshot-{step}.weights.h5"
        with atomic_write(self.directory / file) as part:
            self.model.save_weights(part)
            while self.keep and len(self.snapshots) >= self.keep:
                self._remove(self.snapshots[0])
        entry = {"file": file, "step": step, "scores": None}
        self.snapshots.append(entry)
        self._write_index()

    def _drop_later_than(self, step: int) -> None:
        index = self.directory / INDEX
        listed = json.loads(index.read_text()) if index.is_file() else []
        kept = [entry for entry in listed if entry["step"] <= step]
        self.snapshots = self.snapshots or kept
        for entry in [*listed, *self.snapshots]:
            if entry["step"] > step:
                self._remove(entry)

    def _remove(self, entry: dict[str, Any]) -> None:
        self.snapshots = [x for x in self.snapshots if x != entry]
        self._write_index()
        (self.directory / entry["file"]).unlink(missing_ok=True)

    def _write_index(self) -> None:
        with atomic_write(self.directory / INDEX) as part:
            part.write_text(json.dumps(self.snapshots, indent=2))
