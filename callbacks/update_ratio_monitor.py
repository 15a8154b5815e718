"""Watches how far each update moves the weights of each layer."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from dropzoo.callbacks.layer_monitor import LayerMonitor
from dropzoo.callbacks.monitor_pictures import draw_update_ratios
from dropzoo.callbacks.steps_taken import updates_made
from dropzoo.models.layer_places import layer_places


class UpdateRatioMonitor(LayerMonitor):
    """Measures `|update| / |weights|` of each layer, of real updates.

    The update is what the weights are after a step less what they were before
    it, so that momentum, adaptive rates, weight decay and constraints all
    count. About 1e-3 is healthy; much more, and the rate is too high for this
    layer; much less, and it hardly learns. Both norms are over all trained
    weights of the layer. A layer whose weights are all 0 is left out.

    *When it acts:* before and after the first batch of a training and each
    `every` batches later, and when `fit` ends. Where loss scaling skips the
    step or gradient accumulation holds it back, it waits for the next one that
    moves the weights. *Reads:* the weights and the optimizer's step counter.
    *Writes:* `history`, a list of
    `{"step": updates made, "update_ratio": {layer: ratio}}`; an event file for
    TensorBoard; a picture. *Order:* any, but before `ExactResume`. *Resume:*
    `get_state` and `set_state` hold the history; the event files of both parts
    are read as one. The training itself is the same to the bit.

    Args:
        every: Number of batches from one measurement to the next, at least 1.
        log_directory: Where TensorBoard's event files go; `None` writes none.
        picture: Path of a PNG file that is drawn when `fit` ends: depth
            downwards, time to the right. `None` draws none.

    Raises: ValueError when `every` is below 1; when `draw` is called before
        anything is measured; in `fit`, when `steps_per_execution` makes
        several updates at once.

    Example:

    ```python
    monitor = UpdateRatioMonitor(log_directory="logs", picture="ratios.png")
    model.fit(images, labels, epochs=10, callbacks=[monitor])
    ```

    Reference: Karpathy et al., "CS231n: Convolutional Neural Networks for
        Visual Recognition", notes on learning, "Ratio of weights:updates".
    """

    def __init__(
        self,
        every: int = 100,
        *,
        log_directory: str | Path | None = None,
        picture: str | Path | None = None,
    ):
        super().__init__(every, log_directory, picture)
        self._waits = False
        self._before: dict[str, list[np.ndarray]] = {}

    def get_state(self) -> dict[str, Any]:
        """What `ExactResume` saves: the history and the place in it."""
        return {**super().get_state(), "waits": self._waits}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a saved history over.

        Args:
            state: From `get_state`.
        """
        super().set_state(state)
        self._waits = state["waits"]

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._waits = self._waits or self._is_due()
        if self._waits and not self._before:
            self._updates = updates_made(self.model.optimizer)
            self._layers = _trained(self.model)
            self._before = _read(self._layers)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._batches += 1
        if not self._waits:
            return
        step = updates_made(self.model.optimizer)
        if step > self._updates + 1:
            raise ValueError(
                "UpdateRatioMonitor: `steps_per_execution` must not be so "
                "large that the weights move several times at once. Received: "
                f"{step - self._updates} updates in one execution"
            )
        if step > self._updates:
            ratios = _ratios(self._before, _read(self._layers))
            self._waits, self._before = False, {}
            self._keep(step, {"update_ratio": ratios})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._before = {}
        super().on_train_end(logs)

    def _draw(self, path: Path) -> None:
        draw_update_ratios(path, self.history)


def _trained(model: keras.Model) -> dict[str, list[keras.Variable]]:
    """The trained weights of each layer, in the order of the model."""
    layers, seen = {}, set()
    for place in layer_places(model):
        if place.has_weights:
            variables = [
                variable
                for variable in place.operation.trainable_variables
                if id(variable) not in seen
            ]
            seen |= {id(variable) for variable in variables}
            if variables:
                layers[place.address] = variables
    return layers


def _read(
    layers: dict[str, list[keras.Variable]],
) -> dict[str, list[np.ndarray]]:
    """Copies: the next step overwrites, or frees, what a variable holds."""
    return {
        layer: [
            np.array(keras.ops.convert_to_numpy(variable), "float32")
            for variable in variables
        ]
        for layer, variables in layers.items()
    }


def _ratios(
    before: dict[str, list[np.ndarray]], after: dict[str, list[np.ndarray]]
) -> dict[str, float]:
    ratios = {}
    for layer, old in before.items():
        moved = [a - b for a, b in zip(after[layer], old, strict=True)]
        if weights := _norm(old):
            ratios[layer] = _norm(moved) / weights
    return ratios


def _norm(arrays: list[np.ndarray]) -> float:
    """Of all of them together."""
    return float(np.sqrt(sum(np.vdot(x, x) for x in arrays)))
