"""Lets a caller look in after every batch."""

from collections.abc import Callable
from typing import Any

import keras


class CallAfterBatch(keras.callbacks.Callback):
    """Calls a function after every batch; what it raises ends the training.

    *When it acts:* after each batch of training, validation and prediction.
    *Reads and writes:* nothing. *Order:* before what saves the end of an
    epoch, so that an epoch that is stopped in its last batch starts again.
    *Resume:* it keeps nothing.

    Args:
        function: What to call, without arguments.

    Example:

    ```python
    model.fit(images, labels, callbacks=[CallAfterBatch(check_interruption)])
    ```
    """

    def __init__(self, function: Callable[[], None]):
        super().__init__()
        self.function = function

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        pass

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.function()

    def on_test_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.function()

    def on_predict_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.function()
