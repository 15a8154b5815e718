"""Checks that data and network fit together, before time is spent on them."""

import warnings
from typing import Any

import keras

from dropzoo.callbacks.sanity_failures import sanity_failures
from dropzoo.callbacks.steps_taken import steps_taken


class SanityCheck(keras.callbacks.Callback):
    """Looks at data and network before the first step.

    - *labels*: whole numbers from 0 to C - 1, or rows that sum to 1;
    - *input*: finite, different from one example to the next, not blank, and
      of the range that the model's own rescaling expects;
    - *first loss*: between a third of ln C and three times it;
    - *gradients*: finite, and not zero in all of three steps, in every layer
      that trains;
    - *tiny batch*: 20 examples are learned to a tenth of ln C, by Adam.

    What cannot be trained raises one error with a sentence for each failure;
    what is only unusual warns: blank examples, a strange range, a first loss
    far from ln C. Losses other than cross-entropies have no ln C; they are
    compared with the loss before the first step.

    *When it acts:* when `fit` begins and the optimizer has taken no step.
    *Reads:* its own examples and the model. *Writes:* nothing. All that it
    moves comes back to the bit, so that `fit` goes on as it would without it:
    see `trial_training`. *Order:* any. *Resume:* a training that goes on is
    not looked at again; call `sanity_failures` to do so. `get_state` and
    `set_state` hold that the check is done.

    Args:
        x: Inputs, an array or a tensor: a batch, or all that is trained on.
            All of it is looked at, 128 examples go through the model. From a
            `tf.data.Dataset` take a batch yourself: only you know whether
            that moves its shuffling on.
        y: Their targets.
        on_failure: `"raise"`, or `"warn"` to let `fit` go on in any case.
        steps: Most steps on the tiny batch, for each of the rates 0.001, 0.01
            and 0.1 until one succeeds. At least 0, which leaves it out.

    Raises:
        ValueError: `on_failure` is another word, or `steps` is below 0; in
            `fit`, a check finds that the model cannot be trained.

    Example:

    ```python
    model.fit(images, labels, callbacks=[SanityCheck(images, labels)])
    ```

    Reference: Karpathy, CS231n course notes, "Neural Networks Part 3",
        section "Sanity checks".
    """

    def __init__(
        self, x: Any, y: Any, *, on_failure: str = "raise", steps: int = 100
    ):
        super().__init__()
        if on_failure not in ("raise", "warn"):
            raise ValueError(
                'SanityCheck: `on_failure` must be "raise" or "warn". '
                f"Received: on_failure={on_failure!r}"
            )
        if steps < 0:
            raise ValueError(
                "SanityCheck: `steps` must be at least 0. "
                f"Received: steps={steps!r}"
            )
        self.x = x
        self.y = y
        self.on_failure = on_failure
        self.steps = steps
        self.is_done = False

    def get_state(self) -> dict[str, Any]:
        """What `ExactResume` saves: whether the check is done."""
        return {"is_done": self.is_done}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a saved state over.

        Args:
            state: From `get_state`.
        """
        self.is_done = bool(state["is_done"])

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.is_done or steps_taken(self.model.optimizer):
            return
        failures = sanity_failures(self.model, self.x, self.y, steps=self.steps)
        raises = self.on_failure == "raise"
        fatal = [x.sentence for x in failures if x.fatal and raises]
        for failure in failures:
            if failure.sentence not in fatal:
                warnings.warn(f"SanityCheck: {failure.sentence}", stacklevel=2)
        if fatal:
            raise ValueError("\n".join(f"SanityCheck: {x}" for x in fatal))
        self.is_done = True
