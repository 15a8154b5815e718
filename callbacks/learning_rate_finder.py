"""Finds a learning rate by trying all of them in one short training."""

import math
from collections.abc import Iterable
from pathlib import Path
from types import GeneratorType
from typing import Any

import keras

from dropzoo.callbacks.rate_curve import RateCurve
from dropzoo.callbacks.rate_picture import draw_rate_curve
from dropzoo.callbacks.rate_suggestions import RateSuggestions
from dropzoo.callbacks.swept_rate import SweptRate
from dropzoo.callbacks.training_state import TrainingState, without_trace

FOREVER = 2**31  # epochs: the test stops by itself


class LearningRateFinder(keras.callbacks.Callback):
    """Runs a range test and puts the model back as it was.

    The rate rises exponentially from batch to batch while the model trains.
    The loss of the batches, smoothed as `s = 0.98 s + 0.02 loss` and divided
    by `1 - 0.98**n`, first stays, then falls, then explodes. The test ends
    with the last rate, or sooner, with a smoothed loss above four times its
    lowest or a loss that is not finite. The first tenth of the curve and its
    last five points are not read.

    *When it acts:* before and after every training batch. It stops the
    training by itself, within the epoch, and takes everything back before
    validation. *Reads:* `loss`, the optimizer's rate and its step counter.
    *Writes:* the rate. In the end weights, BatchNorm statistics, optimizer
    slots and steps, rate or schedule, and the model's random generators are
    what they were, to the bit. Metrics are reset with every batch, so that
    `loss` is the batch's own. *Order:* best alone, in a `fit` of its own;
    callbacks before it see the model in the middle of the test. *Resume:* it
    keeps nothing: a test that was interrupted starts again.

    Keras tells callbacks nothing of an exception or a Ctrl-C: after one, call
    `restore`. `find` does so by itself. A step that loss scaling skips does
    not count.

    Args:
        start_rate: The first rate, above 0.
        end_rate: The last rate, above `start_rate`.
        num_iterations: Number of batches, at least 25.
        smoothing: Weight of the past in the smoothed loss, in [0, 1).
        divergence: The test ends when the smoothed loss is more than so many
            times its lowest, which must be positive; above 1. `math.inf`
            goes on to the last rate.

    The curve is then in `rates`, `losses` (smoothed) and `batch_losses`, one
    entry for each iteration, and what is read off it in `suggestions`, a
    `RateSuggestions`; `None` before a test has ended.

    Raises: ValueError when an argument is outside its range. When `fit`
        begins: the model is not built, or runs several steps in one
        execution. When it ends, with everything taken back: the first loss
        is not finite, the training ended before the test, or the loss
        diverged too early.

    Example:
        >>> dense = keras.layers.Dense(1)
        >>> model = keras.Sequential([keras.Input((4,)), dense])
        >>> model.compile(keras.optimizers.SGD(0.01), "mse")
        >>> x = keras.random.normal((64, 4), seed=0)
        >>> finder = LearningRateFinder()
        >>> suggestions = finder.find(model, x, x[:, :1], batch_size=16)
        >>> 1e-3 < suggestions.valley < 1
        True

    Reference: Smith, "Cyclical Learning Rates for Training Neural Networks",
        2017, section 3.3; the bounds, the smoothing and the readings are
        those of fastai 2.8, `Learner.lr_find`.
    """

    def __init__(
        self,
        start_rate: float = 1e-7,
        end_rate: float = 10.0,
        num_iterations: int = 100,
        *,
        smoothing: float = 0.98,
        divergence: float = 4.0,
    ):
        super().__init__()
        if not 0 < start_rate < end_rate < math.inf:
            raise ValueError(
                "LearningRateFinder: `start_rate` must be above 0, `end_rate` "
                "above it, and both finite. "
                f"Received: start_rate={start_rate!r}, end_rate={end_rate!r}"
            )
        self.start_rate = start_rate
        self.end_rate = end_rate
        self.num_iterations = num_iterations
        self.smoothing = smoothing
        self.divergence = divergence
        self.suggestions: RateSuggestions | None = None
        self._saved: TrainingState | None = None
        self._clear()

    def find(
        self,
        model: keras.Model,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        sample_weight: Any = None,
        shuffle: bool | None = None,
        callbacks: Iterable[keras.callbacks.Callback] = (),
    ) -> RateSuggestions:
        """Runs the test on data of any kind that `fit` takes.

        Data with fewer batches than the test has iterations are repeated; a
        generator must not end before.
        `model.history`, `model.stop_training` and the generators of NumPy and
        Python, which shuffle, are kept as they are too. What data keep of
        their own moves on: a generator's position, the order of a
        `tf.data.Dataset.shuffle`.

        Args:
            model: A compiled model. It is as before in the end, whatever
                happens: an exception or a Ctrl-C among it.
            x, y, batch_size, sample_weight: As for `model.fit`.
            shuffle: As for `model.fit`. `None` shuffles what comes with `y`.
            callbacks: Others, such as a progress bar.

        Returns: The suggestions.

        Raises: ValueError as the class says, or when `model` is not compiled.
        """
        if not model.compiled:
            raise ValueError(
                "LearningRateFinder: `model` must be compiled, because its "
                f"optimizer and loss are what is tested. Received: {model.name}"
            )
        # A second time, Keras repeats the first two batches of a generator.
        epochs = 1 if isinstance(x, GeneratorType) else FOREVER
        with without_trace(model):
            try:
                model.fit(
                    x,
                    y,
                    batch_size=batch_size,
                    sample_weight=sample_weight,
                    shuffle=y is not None if shuffle is None else shuffle,
                    epochs=epochs,
                    callbacks=[self, *callbacks],
                    verbose=0,
                )
            finally:
                self.restore()
        return self._curve.read()

    def restore(self) -> None:
        """Takes everything back. Does nothing when that is already done."""
        self._take_back()
        self._saved = None

    def plot(self, path: str | Path) -> None:
        """Draws the loss over the rate, with the four suggestions.

        Args:
            path: The picture, a PNG file; written atomically.

        Raises:
            ValueError: No test has ended yet.
            OSError: The picture cannot be written.
        """
        if self.suggestions is None:
            raise ValueError(
                "LearningRateFinder: there is no curve to draw before a test "
                "has ended; call `find` first."
            )
        draw_rate_curve(path, self._curve, self.suggestions)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        model = self.model
        if not model.built or model.steps_per_execution != 1:
            raise ValueError(
                "LearningRateFinder: `model` must be built, and compiled with "
                f"steps_per_execution=1. Received: built={model.built}, "
                f"steps_per_execution={model.steps_per_execution}"
            )
        self._clear()
        saved = TrainingState(model)
        self._sweep = SweptRate(
            model, self.start_rate, self.end_rate, self.num_iterations
        )
        self._saved = saved
        self._sweep.begin()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._epoch_is_empty = True

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.model.reset_metrics()
        self._rate = self._sweep.set(len(self.rates))
        self._count = self._sweep.count()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._epoch_is_empty = False
        model = self.model  # under JAX, this brings its variables up to date
        loss = _batch_loss(logs)
        if math.isfinite(loss):
            if self._sweep.count() > self._count:
                self._curve.record(self._rate, loss)
            if not self._curve.has_ended():
                return
        self._is_over = model.stop_training = True
        self._take_back()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._epoch_is_empty:  # nor would the next one have any data
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        # Once more: an optimizer with `use_ema` has changed weights since.
        self.restore()
        if not self._is_over:
            raise ValueError(
                "LearningRateFinder: the training must not end before the "
                f"test. Received: an end after {len(self.rates)} of "
                f"{self.num_iterations} iterations; train for more epochs, on "
                "data that can be read again."
            )
        self.suggestions = self._curve.read()

    def _clear(self) -> None:
        self._curve = RateCurve(
            self.num_iterations,
            smoothing=self.smoothing,
            divergence=self.divergence,
        )
        self.rates = self._curve.rates
        self.losses = self._curve.losses
        self.batch_losses = self._curve.batch_losses
        self.suggestions = None
        self._is_over = False

    def _take_back(self) -> None:
        if self._saved is not None and self.model is not None:
            self._saved.put_back()
            self._sweep.put_back()


def _batch_loss(logs: dict[str, Any] | None) -> float:
    values = logs or {}
    if "loss" not in values:
        raise ValueError(
            "LearningRateFinder: the model's `train_step` must return its "
            f"loss as 'loss'. Received: {sorted(values)}"
        )
    return float(values["loss"])
