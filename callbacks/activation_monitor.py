"""Watches the activations of each layer: dead, saturated, how they spread."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from dropzoo.callbacks.activation_probe import ActivationProbe
from dropzoo.callbacks.layer_monitor import LayerMonitor
from dropzoo.callbacks.monitor_pictures import draw_activations
from dropzoo.callbacks.steps_taken import updates_made


class ActivationMonitor(LayerMonitor):
    """Measures what the activation functions of a model give on one batch.

    - *Dead*: the share of a ReLU layer's units, its channels, that are 0 for
      the whole batch. No gradient reaches them from it.
    - *Saturated*: the share of a sigmoid's or tanh's values where its slope is
      below a tenth of the largest.
    - *Spread*: a histogram for each layer. Over the depth of a network that is
      well initialised they look alike; they narrow to 0, or pile up at the
      ends, in one that is not.

    Layers with an activation function are watched, apart from softmax; so are
    those of inner models. The batch passes as at inference.

    *When it acts:* before the first batch of a training, so on the weights it
    begins with, and before a batch each `every` batches later; when `fit`
    ends. *Reads:* the weights, the statistics and the optimizer's step
    counter. *Writes:* `history`, a list of `{"step": updates made,
    "dead": {layer: share}, "saturated": {layer: share}}`; `first_samples` and
    `last_samples`, values of each layer; an event file for TensorBoard; a
    picture. *Order:* any, but before `ExactResume`. *Resume:* `get_state` and
    `set_state` hold the history and the samples; the event files of both parts
    are read as one. The training itself is the same to the bit.

    Args:
        batch: Inputs as the model takes them, such as 32 training images; the
            same for every measurement.
        every: Number of batches from one measurement to the next, at least 1.
        log_directory: Where TensorBoard's event files go; `None` writes none.
        picture: Path of a PNG file that is drawn when `fit` ends: histograms
            at the first and the last measurement, and the shares over time,
            depth downwards. `None` draws none.

    Raises: ValueError when `every` is below 1, when `draw` is called before
        anything is measured, or when `fit` begins and no layer of the model
        has an activation function.

    Example:

    ```python
    monitor = ActivationMonitor(images[:32], picture="activations.png")
    model.fit(images, labels, epochs=10, callbacks=[monitor])
    ```

    References: Karpathy et al., "CS231n: Convolutional Neural Networks for
        Visual Recognition", notes on learning, "Activation / gradient
        distributions per layer"; Glorot and Bengio, "Understanding the
        Difficulty of Training Deep Feedforward Neural Networks", 2010,
        section 3.
    """

    def __init__(
        self,
        batch: Any,
        every: int = 100,
        *,
        log_directory: str | Path | None = None,
        picture: str | Path | None = None,
    ):
        super().__init__(every, log_directory, picture)
        self.batch = batch
        self.first_samples: dict[str, np.ndarray] = {}
        self.last_samples: dict[str, np.ndarray] = {}
        self._probe: Any = None

    def get_state(self) -> dict[str, Any]:
        """What `ExactResume` saves: the history and the samples."""
        samples = {"first": self.first_samples, "last": self.last_samples}
        return {**super().get_state(), **samples}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a saved history over.

        Args:
            state: From `get_state`.
        """
        super().set_state(state)
        self.first_samples = dict(state["first"])
        self.last_samples = dict(state["last"])

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._probe is None or self._probe.inner is not self.model:
            self._probe = ActivationProbe(self.model)
        if not self._probe.layers_with_activation:
            raise ValueError(
                "ActivationMonitor: a layer of the model must have an "
                f"activation function. Received: {self.model.name}, in which "
                "none has, apart from softmax"
            )

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._is_due():
            self._measure(updates_made(self.model.optimizer))
        self._batches += 1

    def _measure(self, step: int) -> None:
        arrays = keras.tree.map_structure(
            keras.ops.convert_to_numpy, self.batch
        )
        found = self._probe.measure(arrays)
        values = {
            quantity: {
                layer: float(measured[quantity])
                for layer, measured in found.items()
                if quantity in measured
            }
            for quantity in ("dead", "saturated")
        }
        self.last_samples = {
            layer: np.array(measured["sample"])
            for layer, measured in found.items()
        }
        self.first_samples = self.first_samples or self.last_samples
        self._keep(step, values, self.last_samples)

    def _draw(self, path: Path) -> None:
        draw_activations(
            path, self.history, self.first_samples, self.last_samples
        )
