"""Says in words what the curves of a training show."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dropzoo.callbacks.compiled_loss import CompiledLoss
from dropzoo.callbacks.curve_faults import CurveFinding, diagnose
from dropzoo.callbacks.loss_curve import LossCurve
from dropzoo.callbacks.weight_path import WeightPath
from dropzoo.models.layer_places import layer_places

PARTS = 4  # of each epoch
FAR_ABOVE = 10  # times the first loss, of a whole part of an epoch


class CurveDiagnosis(keras.callbacks.Callback):
    """Reads the losses of a training and says what is wrong with them.

    *When it acts:* after every batch and epoch it notes the loss; when `fit`
    ends it says its finding. It says at once, and once, that a training
    diverges. *Reads:* `loss` and `val_loss`; ln C, where the loss is a
    cross-entropy; of the model, what its regularisers add to the loss when
    training begins and ends, the rates of its dropout layers, and how the
    weights move from epoch to epoch. *Writes:* nothing. *Order:* before what
    stops a training in its last batch. *Resume:* `get_state` and `set_state`
    hold all losses so far, four for each epoch and those of the epoch under
    way, and about a thousand of the weights. A second `fit` goes on with the
    same curve.

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
        self._known: dict[str, Any] = {
            "first": None,
            "chance": None,
            "penalty": 0.0,
            "last_penalty": 0.0,
            "dropouts": [],
        }
        self._epochs: dict[str, Any] = {"loss": [], "val_loss": [], "parts": []}
        self._path = WeightPath()
        self._loss: CompiledLoss | None = None
        self._batches: list[float] = []
        self._seen, self._sum, self._has_warned = 0, 0.0, False

    def get_state(self) -> dict[str, Any]:
        """What `ExactResume` saves: all losses so far."""
        return {
            **self._known,
            **{name: list(values) for name, values in self._epochs.items()},
            "path": self._path.get_state(),
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
        self._known = {name: state[name] for name in self._known}
        self._epochs = {name: list(state[name]) for name in self._epochs}
        self._path.set_state(state["path"])
        self._batches = list(state["batches"])
        self._seen, self._sum = int(state["seen"]), float(state["sum"])
        self._has_warned = bool(state["has_warned"])

    def curve(self) -> LossCurve:
        """The losses so far.

        Raises: ValueError before the end of the first epoch.
        """
        return LossCurve(
            **self._epochs,
            **self._known,
            paces=self._path.paces,
            turns=self._path.turns,
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._path.start(self.model.trainable_variables)
        shape = getattr(self.model, "output_shape", None)
        if isinstance(shape, tuple):
            self._loss = CompiledLoss(self.model, shape[-1])
        if self._known["first"] is None and self._loss:
            self._known["chance"] = self._loss.of_chance
            self._known["penalty"] = float(self._loss.penalty())

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
        if self._known["first"] is None:
            self._known["first"] = value
        if not math.isfinite(value):
            self._warn(f"the loss of batch {self._seen} is {value:g}")

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        logs = logs or {}
        self._epochs["loss"].append(float(logs["loss"]))
        if "val_loss" in logs:
            self._epochs["val_loss"].append(float(logs["val_loss"]))
        self._path.go_on(self.model.trainable_variables, self._seen)
        if len(self._epochs["loss"]) == 1:  # by now the model is built
            self._known["dropouts"] = _dropouts(self.model)
        if self._loss:
            self._known["last_penalty"] = float(self._loss.penalty())
        groups = np.array_split(self._batches, min(PARTS, len(self._batches)))
        self._epochs["parts"] += [float(np.mean(group)) for group in groups]
        if logs["loss"] > FAR_ABOVE * abs(self._known["first"]):
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
                f"was {self._known['first']:.3g}; stop it and lower the rate."
            )


def _dropouts(model: keras.Model) -> list[float]:
    """The rates of the dropout layers of a model, in their order."""
    kinds = (keras.layers.Dropout, keras.layers.GaussianDropout)
    layers = (place.operation for place in layer_places(model))
    rates = [layer.rate for layer in layers if isinstance(layer, kinds)]
    return [rate for rate in rates if rate]
