"""Goes on with an interrupted training as if nothing had happened."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

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


class ExactResume(keras.callbacks.Callback):
    """Trains a model so that a stopped training ends as one left alone.

    Call `fit` of this object instead of the model's. Started again after a
    stop at any moment, it goes on from the last checkpoint, and ends with the
    same weights, to the bit, on the same machine with
    `dropzoo.set_deterministic`.

    *When it acts:* at the end of every epoch and of `fit`, and after every
    `save_freq` steps if that is a number. *Writes:* a checkpoint into its
    directory, atomically; the newest two are kept, and that of the end. It
    holds the weights, the optimizer's slots and step counter, the state of
    every random generator inside the model and of the global ones of Python
    and NumPy, that of every callback, the metrics of an epoch under way, and
    the history. *Reads:* the newest checkpoint that is whole and of this
    training. *Order:* behind all other callbacks, which `fit` sees to.
    *Resume:* it is what others resume by. Their state comes from
    `get_state() -> dict` and goes back by `set_state(dict)`: numbers, strings
    and NumPy arrays in dicts and lists. Keras's `EarlyStopping`,
    `LearningRateScheduler`, `ModelCheckpoint`, `ReduceLROnPlateau` and
    `TerminateOnNaN` need neither.

    `history` holds the logs of each finished epoch, those before a stop
    included.

    Args:
        directory: Where to keep the checkpoints; one training, one directory.
        save_freq: `"epoch"`, or after how many steps to save besides, at
            least 1.

    Raises:
        TypeError: In `fit`, a callback keeps its state to itself.
        ValueError: `save_freq` is neither; in `fit`, the model is not
            compiled, or no checkpoint can be used and the model is unchanged.
        OSError: In `fit`, a checkpoint cannot be written.

    Example:

    ```python
    def batches(step):  # from that step of the training on
        return training_batches(..., seed=0, steps=range(step, 10 * 120))

    resume = ExactResume("runs/first/.state", save_freq=50)
    resume.fit(model, batches, epochs=10, steps_per_epoch=120)
    resume.history  # of all ten epochs
    ```
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        save_freq: int | Literal["epoch"] = "epoch",
    ):
        super().__init__()
        if save_freq != "epoch" and not (
            isinstance(save_freq, int) and save_freq >= 1
        ):
            raise ValueError(
                "ExactResume: `save_freq` must be 'epoch' or an integer of at "
                f"least 1. Received: save_freq={save_freq!r}"
            )
        self.directory = Path(directory)
        self.save_freq = save_freq
        self.history: list[dict[str, float]] = []
        self._others: Sequence[keras.callbacks.Callback] | None = None
        self._saved: Checkpoint | None = None
        self._streams: dict[str, Any] | None = None

    def fit(
        self,
        model: keras.Model,
        batches: Callable[[int], Any],
        *,
        epochs: int,
        steps_per_epoch: int,
        initial_epoch: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        **options: Any,
    ) -> list[dict[str, float]]:
        """Trains, from the last checkpoint on if there is one.

        Args:
            model: The model, built and compiled as the stopped one.
            batches: Gives the training data, as `keras.Model.fit` takes
                batches, from a step of the training on; steps are counted over
                all epochs. What it gives must follow from the step: a
                `tf.data` pipeline that shuffles as it goes does not.
            epochs: Number of epochs, those before a stop included.
            steps_per_epoch: Number of batches in each.
            initial_epoch: Where the training begins, if it goes on from
                another one.
            callbacks: All others, in their order.
            **options: What else `keras.Model.fit` takes, such as
                `validation_data`.

        Returns: `history`.
        """
        if not model.compiled or not model.built:
            raise ValueError(
                "ExactResume: `model` must be built and compiled before it "
                f"is trained. Received: {model.name}"
            )
        check_states(callbacks)
        self._others = callbacks
        self._steps_per_epoch, self._epochs = steps_per_epoch, epochs
        step, ended = self._restore(model, batches, initial_epoch)
        if ended:
            for callback in callbacks:
                callback.set_model(model)
            self._put_back_states()
            return self.history
        epoch, self._skipped = divmod(step, steps_per_epoch)
        complete = self._stopped or epoch >= epochs  # but for what ends a `fit`
        try:
            model.fit(
                batches(0 if complete else step),
                initial_epoch=epoch,
                epochs=epoch if complete else epochs,
                steps_per_epoch=steps_per_epoch,
                callbacks=[_GoOn(self), *callbacks, self],
                shuffle=False,
                **options,
            )
        finally:
            self._others = None
        return self.history

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._others is None:
            raise ValueError(
                "ExactResume: `fit` of this object must be called, as "
                "resume.fit(model, batches, ...), instead of giving it to "
                "model.fit, which cannot begin in the middle."
            )
        self._put_back_states()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._epoch = epoch
        if self._skipped:  # `fit` and others have begun a new epoch
            self._put_back_variables(self.model)
            self._put_back_states()

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._streams is not None:  # what begins an epoch may have drawn
            set_streams(self._streams)
            self._streams = None

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        done = self._skipped + batch + 1
        step = self._epoch * self._steps_per_epoch + done
        if done >= self._steps_per_epoch:
            if self._skipped and not self.model.stop_training:
                self.model.stop_training = self._cut = True
        elif (
            self.save_freq != "epoch"
            and step // self.save_freq > self._saved_at // self.save_freq
        ):
            self._save(step)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.history.append(
            {name: float(value) for name, value in (logs or {}).items()}
        )
        self._skipped = 0
        self._save((epoch + 1) * self._steps_per_epoch)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._save(self._saved_at, end=True)

    def _go_on(self) -> None:
        """Lets `fit` begin the next epoch after one that was cut short."""
        if self._cut:
            self.model.stop_training = self._cut = False

    def _restore(
        self, model: keras.Model, batches: Callable[[int], Any], epoch: int
    ) -> tuple[int, bool]:
        """Puts the last checkpoint into a model.

        Returns: The number of steps done, and whether `fit` had come to its
            end.
        """
        self._cut = self._stopped = False
        self.history = []
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        saved = read_checkpoint(
            self.directory, lambda saved: self._difference(model, saved)
        )
        self._saved, self._streams = saved, None
        if saved is None:
            self._saved_at = epoch * self._steps_per_epoch
            return self._saved_at, False
        self._saved_at = step = saved.facts["step"]
        if step % self._steps_per_epoch:
            # Keras makes the variables of metrics with the first batch.
            first = next(iter(batches(step)))
            model.test_on_batch(*keras.utils.unpack_x_y_sample_weight(first))
        self._put_back_variables(model)
        self.history = saved.facts["history"]
        self._streams = unpack(saved.facts["streams"], saved.arrays)
        self._stopped = saved.facts["stopped"]
        return step, saved.facts["ended"]

    def _difference(self, model: keras.Model, saved: Checkpoint) -> str | None:
        """Tells in what a checkpoint differs from this training.

        Returns: Nothing for the end of one that is to be longer now.
        """
        expected = {k: tuple(v.shape) for k, v in _variables(model).items()}
        found = {
            name: array.shape
            for name, array in saved.arrays.items()
            if name.startswith(("model/", "optimizer/"))
        }
        if found != expected:
            return (
                f"its {len(found)} tensors are not the {len(expected)} of "
                "this model and optimizer"
            )
        for name, value in self._settings(model).items():
            if saved.facts["settings"].get(name) != value:
                return f"it was made with another `{name}`"
        facts = saved.facts
        epochs = facts["step"] // self._steps_per_epoch
        if facts["ended"] and epochs < self._epochs and not facts["stopped"]:
            return ""
        return None

    def _settings(self, model: keras.Model) -> dict[str, Any]:
        """What must be as it was."""
        return {
            "steps_per_epoch": self._steps_per_epoch,
            "callbacks": [type(x).__name__ for x in self._others or ()],
            "optimizer": _optimizer_config(model.optimizer),
        }

    def _save(self, step: int, *, end: bool = False) -> None:
        model = self.model
        within_epoch = step % self._steps_per_epoch > 0
        arrays = {
            name: np.asarray(keras.ops.convert_to_numpy(variable), order="C")
            for name, variable in _variables(model, within_epoch).items()
        }
        facts = {
            "step": step,
            "stopped": self._stopped or bool(model.stop_training),
            "ended": end,
            "history": self.history,
            "streams": pack(get_streams(), arrays, "streams"),
            "settings": self._settings(model),
            "states": [
                pack(get_state(callback), arrays, f"callback/{number}")
                for number, callback in enumerate(self._others or ())
            ],
        }
        checkpoint = Checkpoint(arrays, facts)
        write_checkpoint(self.directory, step, checkpoint, end=end)
        self._saved_at = step

    def _put_back_variables(self, model: keras.Model) -> None:
        if self._saved is not None:
            metrics = self._saved.facts["step"] % self._steps_per_epoch > 0
            for name, variable in _variables(model, metrics).items():
                variable.assign(self._saved.arrays[name])

    def _put_back_states(self) -> None:
        if self._saved is not None:
            states = unpack(self._saved.facts["states"], self._saved.arrays)
            for callback, state in zip(self._others or (), states, strict=True):
                set_state(callback, state)


class _GoOn(keras.callbacks.Callback):
    """Stands before all others, so that what they stop stays stopped."""

    def __init__(self, resume: ExactResume):
        super().__init__()
        self.resume = resume

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.resume._go_on()


def _variables(
    model: keras.Model, metrics: bool = False
) -> dict[str, keras.Variable]:
    """Every variable that decides the next step, by kind and position."""
    kinds = {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables if metrics else [],
    }
    return {
        f"{kind}/{position}": variable
        for kind, variables in kinds.items()
        for position, variable in enumerate(variables)
    }


def _optimizer_config(optimizer: keras.optimizers.Optimizer) -> Any:
    """The optimizer's settings as JSON, but for a rate that callbacks set."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    config = {**inner.get_config(), "name": type(inner).__name__}
    if isinstance(config["learning_rate"], float):
        del config["learning_rate"]
    return json.loads(json.dumps(config, default=str))
