"""One bar, with an estimate, for a training of several parts."""

from typing import Any

import keras
from rich.progress import Progress, TaskID


class ProgressBar(keras.callbacks.Callback):
    """Advances a rich progress bar by one for every batch.

    *When it acts:* after each training batch. *Reads:* `loss`. *Writes:*
    nothing but the terminal. *Order:* any. *Resume:* the caller advances the
    bar by what was done before.

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

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        loss = (logs or {}).get("loss", float("nan"))
        self.progress.update(
            self.task,
            advance=1,
            description=f"{self.label}, loss {loss:.3f}",
        )
