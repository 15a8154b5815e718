"""What the monitors have in common: an interval, a history, TensorBoard."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

Record = dict[str, Any]


class LayerMonitor(keras.callbacks.Callback):
    """Measures something of each layer now and then.

    A subclass measures and calls `_keep`; it draws its own picture.

    Args:
        every: Number of batches from one measurement to the next.
        log_directory: Where TensorBoard's event files go, or `None`.
        picture: Path of a PNG file to draw when `fit` ends, or `None`.
    """

    def __init__(
        self,
        every: int,
        log_directory: str | Path | None,
        picture: str | Path | None,
    ):
        super().__init__()
        if every < 1:
            raise ValueError(
                f"{type(self).__name__}: `every` must be at least 1. "
                f"Received: every={every!r}"
            )
        self.every = every
        self.log_directory = log_directory
        self.picture = picture
        self.history: list[Record] = []
        self._batches = 0
        self._writer: Any = None

    def get_state(self) -> dict[str, Any]:
        """What `ExactResume` saves: the history and the place in it."""
        return {"batches": self._batches, "history": list(self.history)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a saved history over.

        Args:
            state: From `get_state`.
        """
        self._batches = state["batches"]
        self.history = list(state["history"])

    def draw(self, path: str | Path) -> None:
        """Draws the history, as `picture` does when `fit` ends.

        Args:
            path: The PNG file; written atomically.

        Raises:
            ValueError: Nothing has been measured yet.
            OSError: The file cannot be written.
        """
        if not self.history:
            raise ValueError(
                f"{type(self).__name__}: nothing is measured yet; train first."
            )
        self._draw(Path(path))

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._writer is not None:
            self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self.picture is not None and self.history:
            self.draw(self.picture)

    def _draw(self, path: Path) -> None:
        raise NotImplementedError

    def _is_due(self) -> bool:
        """Whether the batch after so many is to be measured: the first is."""
        return self._batches % self.every == 0

    def _keep(
        self,
        step: int,
        values: dict[str, dict[str, float]],
        samples: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Adds a measurement to the history and to TensorBoard.

        Args:
            step: Number of updates.
            values: By quantity and layer.
            samples: By layer: of what a histogram is written.
        """
        self.history.append({"step": step, **values})
        if self.log_directory is not None:
            from tensorboard.compat.proto.event_pb2 import Event

            if self._writer is None:
                self._writer = _event_writer(self.log_directory)
            for summary in _summaries(values, samples or {}):
                self._writer.add_event(Event(step=step, summary=summary))


def _event_writer(directory: str | Path) -> Any:
    """TensorBoard's own writer, which needs no TensorFlow."""
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    return EventFileWriter(str(directory))


def _summaries(values, samples):
    """What the event file takes, one for each quantity and layer."""
    from tensorboard.plugins.histogram.summary_v2 import histogram_pb
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    for quantity, layers in values.items():
        for layer, value in layers.items():
            yield scalar_pb(f"{quantity}/{layer}", value)
    for layer, sample in samples.items():
        yield histogram_pb(f"activations/{layer}", sample[np.isfinite(sample)])
