"""Averages the weights that a training passes at a high learning rate."""

from typing import Any, Literal

from dropzoo.callbacks.averaged_weights import Apply, AveragedWeights
from dropzoo.callbacks.rate_cycles import RateCycles
from dropzoo.callbacks.steps_taken import optimizer_schedule, steps_taken
from dropzoo.models.recompute_batch_norm import Batches, check_batches


class StochasticWeightAveraging(AveragedWeights):
    """Keeps the plain mean of the weights of several moments of a training.

    With a learning rate that stays high, constant or cyclical, the weights
    wander around the edge of a wide optimum; their mean lies inside:
    `average += (weights - average) / n` for the n-th time.

    *When it acts:* at the end of each epoch from `start_epoch` on, before its
    validation, or after the batch that was trained at a minimum of the rate;
    not where no update
    was made since the last time, as when loss scaling has skipped every step;
    around validation, by `apply`; at the end of `fit`. *Reads:* the
    optimizer's step counter, the weights, and `batches`. *Writes:* averages of
    its own, in float32; by `apply` the model's weights. *Order:* before
    `ExactResume`; behind `EarlyStopping` and whatever else changes weights.
    *Resume:* `get_state` and `set_state` hold the averages.

    A `fit` that goes on with a training begins with the weights that the model
    holds: let only the last one apply the averages.

    Args:
        start_epoch: Number of epochs that come before those whose weights
            count, at least 0. In the paper it is three quarters of a usual
            training.
        at: "epoch": the end of each epoch. "cycle": the minima of the
            optimizer's schedule, such as `CyclicalLearningRate`.
        apply: "end": the model has the averages when `fit` ends.
            "validation": validation sees them too, from the first one on.
            "never": the model is left alone; take `averaged_model()`.
        batches: Batches of the training data, or a function that gives them,
            on which the statistics of batch normalization are recomputed
            whenever the averages are used; see
            `dropzoo.models.recompute_batch_norm`. May be `None` where no such
            layer is trained.

    Raises: ValueError when an argument is out of its range, when
        `averaged_model` is called too early; when `fit` begins, if batch
        normalization is trained and there are no `batches`, `fit` ends
        before `start_epoch`, or a schedule is missing; in `fit`, if a cycle
        ends within several steps that are executed at once.

    Example:

    ```python
    average = StochasticWeightAveraging(start_epoch=15, batches=train)
    model.fit(train, epochs=20, callbacks=[average])
    model.save("averaged.keras")
    ```

    Reference: Izmailov et al., "Averaging Weights Leads to Wider Optima and
        Better Generalization", 2018, section 3.2, algorithm 1.
    """

    def __init__(
        self,
        start_epoch: int,
        *,
        at: Literal["epoch", "cycle"] = "epoch",
        apply: Apply = "end",
        batches: Batches | None = None,
    ):
        super().__init__(apply, batches)
        if start_epoch < 0:
            raise ValueError(
                "StochasticWeightAveraging: `start_epoch` must be at least 0. "
                f"Received: start_epoch={start_epoch!r}"
            )
        if at not in ("epoch", "cycle"):
            raise ValueError(
                "StochasticWeightAveraging: `at` must be 'epoch' or 'cycle'. "
                f"Received: at={at!r}"
            )
        self.start_epoch = start_epoch
        self.at = at

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._check()
        super().on_train_begin(logs)
        if self.at == "cycle":
            optimizer = self.model.optimizer
            schedule = optimizer_schedule(optimizer)
            self._cycles = RateCycles(schedule, steps_taken(optimizer))

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._epoch = epoch

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._updates is not None:  # the validation of a training's epoch
            self._end_epoch()
        super().on_test_begin(logs)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self.at == "epoch":
            return
        taken = steps_taken(self.model.optimizer)
        while self._cycles.step < taken:
            if self._cycles.advance():
                if self._cycles.step < taken:
                    raise ValueError(
                        "StochasticWeightAveraging: `steps_per_execution` "
                        "must divide the steps of each cycle. Received: a "
                        f"cycle that ends with step {self._cycles.step}, "
                        f"within steps executed together up to {taken}"
                    )
                self._include()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._end_epoch()

    def _end_epoch(self) -> None:
        is_last = self._epoch + 1 == self.params["epochs"]
        is_minimum = self.at == "epoch" or is_last and self._cycles.at_rest()
        if is_minimum:
            self._include()

    def _include(self) -> None:
        """Adds the weights, once after each update at most."""
        if self._epoch >= self.start_epoch and self._updates_since():
            self._add(1 / (self.num_averaged + 1))

    def _check(self) -> None:
        check_batches("StochasticWeightAveraging", self.model, self.batches)
        if self.params["epochs"] <= self.start_epoch and self.apply != "never":
            raise ValueError(
                "StochasticWeightAveraging: `start_epoch` must be below the "
                f"epochs of `fit`. Received: start_epoch={self.start_epoch}, "
                f"epochs={self.params['epochs']}"
            )
