"""One bar, with an estimate, for a training of several parts."""

from typing import Any

import keras
from rich.progress import Progress, TaskID


class ProgressBar(keras.callbacks.Callback):
    """Advances a rich progress bar by one for every batch.

    *When it acts:* after each training batch. *Reads:* `loss`. *Writes:*
    nothing but the terminal. *Order:* any. *Resume:* the bar jumps to where it
    was.

    Args:
        progress: A running `rich.progress.Progress`.
        task: The bar to advance; several `fit` calls may share one.
        label: What is being trained, shown with the loss.
    """

    def __init__(self, progress: Progress, task: TaskID, label: str):
        super().__init__()
        self.progress = progress
        self.task = task
        self.label = label
        self.done = 0

    def get_state(self) -> dict[str, Any]:
        return {"done": self.done}

    def set_state(self, state: dict[str, Any]) -> None:
        self._advance(state["done"] - self.done)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        loss = (logs or {}).get("loss", float("nan"))
        self._advance(1, f"{self.label}, loss {loss:.3f}")

    def _advance(self, steps: int, description: str | None = None) -> None:
        self.done += steps
        self.progress.update(self.task, advance=steps, description=description)
