"""Says in words what the curves of a training show."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dropzoo.callbacks.compiled_loss import CompiledLoss
from dropzoo.callbacks.curve_faults import CurveFinding, diagnose
from dropzoo.callbacks.loss_curve import LossCurve

PARTS = 4  # of each epoch
FAR_ABOVE = 10  # times the first loss, of a whole part of an epoch


class CurveDiagnosis(keras.callbacks.Callback):
    """Reads the losses of a training and says what is wrong with them.

    *When it acts:* after every batch and epoch it notes the loss; when `fit`
    ends it says its finding. It says at once, and once, that a training
    diverges. *Reads:* `loss` and `val_loss`, which stand
    for themselves; and ln C, where the loss is a cross-entropy, with what
    the regularisers add to it when training begins. *Writes:* nothing.
    *Order:* before what stops a training in its last batch. *Resume:*
    `get_state` and `set_state` hold all losses so far, four for each epoch and
    those of the epoch under way. A second `fit` goes on with the same curve.

    `finding` is what was found when `fit` ended, None before.

    Reading the loss after every batch waits for the device. On an accelerator
    that is kept busy by small steps this takes time.

    Args:
        say: Takes each sentence.

    Example:

    ```python
    diagnosis = CurveDiagnosis()
    model.fit(images, labels, validation_split=0.2, callbacks=[diagnosis])
    diagnosis.finding.fault
    ```

    Reference: Karpathy, CS231n course notes, "Neural Networks Part 3", section
        "Babysitting the learning process".
    """

    def __init__(self, *, say: Callable[[str], None] = print):
        super().__init__()
        self.say = say
        self.finding: CurveFinding | None = None
        self._begin: dict[str, Any] = {
            "first": None,
            "chance": None,
            "penalty": 0.0,
        }
        self._epochs: dict[str, Any] = {"loss": [], "val_loss": [], "parts": []}
        self._batches: list[float] = []
        self._seen, self._sum, self._has_warned = 0, 0.0, False

    def get_state(self) -> dict[str, Any]:
        """What `ExactResume` saves: all losses so far."""
        return {
            **self._begin,
            **{name: list(values) for name, values in self._epochs.items()},
            "batches": list(self._batches),
            "seen": self._seen,
            "sum": self._sum,
            "has_warned": self._has_warned,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes saved losses over.

        Args:
            state: From `get_state`.
        """
        self._begin = {name: state[name] for name in self._begin}
        self._epochs = {name: list(state[name]) for name in self._epochs}
        self._batches = list(state["batches"])
        self._seen, self._sum = int(state["seen"]), float(state["sum"])
        self._has_warned = bool(state["has_warned"])

    def curve(self) -> LossCurve:
        """The losses so far.

        Raises: ValueError before the end of the first epoch.
        """
        return LossCurve(**self._epochs, **self._begin)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        shape = getattr(self.model, "output_shape", None)
        if self._begin["first"] is None and isinstance(shape, tuple):
            loss = CompiledLoss(self.model, shape[-1])
            self._begin["chance"] = loss.of_chance
            self._begin["penalty"] = float(loss.penalty())

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._batches, self._seen, self._sum = [], 0, 0.0
        self._last = -1  # `fit` counts from here, after a stop as well

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        # Keras gives the mean since the epoch began.
        count = batch - self._last
        total = float((logs or {})["loss"]) * (self._seen + count)
        value = (total - self._sum) / count
        self._seen, self._sum, self._last = self._seen + count, total, batch
        self._batches.append(value)
        if self._begin["first"] is None:
            self._begin["first"] = value
        if not math.isfinite(value):
            self._warn(f"the loss of batch {self._seen} is {value:g}")

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        logs = logs or {}
        self._epochs["loss"].append(float(logs["loss"]))
        if "val_loss" in logs:
            self._epochs["val_loss"].append(float(logs["val_loss"]))
        groups = np.array_split(self._batches, min(PARTS, len(self._batches)))
        self._epochs["parts"] += [float(np.mean(group)) for group in groups]
        if logs["loss"] > FAR_ABOVE * abs(self._begin["first"]):
            self._warn(f"the loss of epoch {epoch + 1} is {logs['loss']:.3g}")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._epochs["loss"]:
            self.finding = diagnose(self.curve())
            self.say(f"CurveDiagnosis: {self.finding.sentence}")

    def _warn(self, what: str) -> None:
        """Says once that the training diverges."""
        if not self._has_warned:
            self._has_warned = True
            self.say(
                f"CurveDiagnosis: the training diverges: {what}, the first "
                f"was {self._begin['first']:.3g}; stop it and lower the rate."
            )
