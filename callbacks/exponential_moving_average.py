"""Averages the weights over the last updates of a training."""

from typing import Any

from dropzoo.callbacks.averaged_weights import Apply, AveragedWeights
from dropzoo.models.recompute_batch_norm import Batches


class ExponentialMovingAverage(AveragedWeights):
    """Keeps an average of the weights that forgets old ones exponentially.

    After each update `average = decay * average + (1 - decay) * weights`; the
    first update gives the average its first value. It smooths what the last
    updates do to the weights, as a falling learning rate does.

    *When it acts:* after each batch whose step has moved the weights: one that
    loss scaling skips or gradient accumulation holds back adds nothing; around
    validation; at the end of `fit`. *Reads:* the optimizer's step counter, the
    weights, and `batches`. *Writes:* averages of its own, in float32; by
    `apply` the model's weights. *Order:* before `ExactResume`; behind
    `EarlyStopping` and whatever else changes weights. `ModelCheckpoint` saves
    the weights that are trained, also where validation sees the averages.
    *Resume:* `get_state` and `set_state` hold the averages.

    A `fit` that goes on with a training begins with the weights that the model
    holds: let only the last one apply the averages.

    Args:
        decay: Float in [0, 1). The average spans about `1 / (1 - decay)`
            updates.
        warmup: Whether the decay of update n, from 0 on, is at most
            `(1 + n) / (10 + n)`, so that a short training is not ruled by its
            first weights. `False` gives what Keras's `use_ema` computes.
        apply: "validation": validation sees the averages, after which the
            weights come back, to the bit, and the model has the averages when
            `fit` ends. "end": only the latter. "never": the model is left
            alone; take `averaged_model()`.
        batches: Batches of the training data, or a function that gives them,
            on which the statistics of batch normalization are recomputed
            whenever the averages are used; see
            `dropzoo.models.recompute_batch_norm`. `None` averages the
            statistics like the weights.

    Raises: ValueError when `decay` or `apply` is out of its range, when
        `averaged_model` is called too early, or when several updates are made
        at once by `steps_per_execution`.

    Example:

    ```python
    average = ExponentialMovingAverage(0.999)
    model.fit(images, labels, validation_data=held_out, callbacks=[average])
    model.save("averaged.keras")
    ```

    Reference: Polyak and Juditsky, "Acceleration of Stochastic Approximation
        by Averaging", 1992; Tarvainen and Valpola, "Mean teachers are better
        role models", 2017, section 2.
    """

    def __init__(
        self,
        decay: float = 0.999,
        *,
        warmup: bool = True,
        apply: Apply = "validation",
        batches: Batches | None = None,
    ):
        super().__init__(apply, batches)
        if not 0 <= decay < 1:
            raise ValueError(
                "ExponentialMovingAverage: `decay` must be in [0, 1). "
                f"Received: decay={decay!r}"
            )
        self.decay = decay
        self.warmup = warmup

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        updates = self._updates_since()
        if updates > 1:
            raise ValueError(
                "ExponentialMovingAverage: `steps_per_execution` must not be "
                "so large that the weights move several times at once. "
                f"Received: {updates} updates in one execution"
            )
        if updates:
            self._add(1 - self._decay_now())

    def _decay_now(self) -> float:
        before = self.num_averaged
        if not before:
            return 0.0
        if self.warmup:
            return min(self.decay, (1 + before) / (10 + before))
        return self.decay
