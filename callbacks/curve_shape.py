"""The shape of a loss curve, in quantities without a scale."""

from functools import cached_property

import numpy as np

from dropzoo.callbacks.loss_curve import LossCurve


class CurveShape:
    """Measures a loss curve in shares of its own heights and length.

    Heights are shares of `base`, the loss of who knows nothing: ln C where it
    is known and lower than the first loss, else the first loss. Dropout at a
    rate of p scales what it keeps by 1 / (1 - p), and so the variance of the
    outputs: a layer makes the logits, and with them the first loss and its
    noise, larger by up to (1 - p)^-1/2. What they rise by, and what penalties
    add to them, says nothing about the weights and is taken off.

    Args:
        curve: The losses.

    Attributes:
        first: The first loss, without penalties.
        end: Median training loss of the last tenth of the epochs.
        val_end: The same of the validation loss; NaN without one.
        base: What a height of 1 is.
        gain: How much larger dropout makes the logits of the first step.
    """

    def __init__(self, curve: LossCurve):
        self.curve = curve
        self.fine = curve.fine()
        self.loss = np.array(curve.loss, "float64")
        self.val = np.array(curve.val_loss, "float64")
        self.first = float(self.fine[0]) - curve.penalty
        self.end = _last(self.loss)
        self.val_end = _last(self.val) if len(self.val) else float("nan")
        chance = curve.chance
        self.base = min(self.first, chance) if chance else self.first
        self.gain = float(np.prod(1 - np.array(curve.dropouts)) ** -0.5)

    @cached_property
    def is_finite(self) -> bool:
        """Whether all losses are."""
        return bool(np.isfinite([*self.fine, *self.loss, *self.val]).all())

    @property
    def is_short(self) -> bool:
        """Whether there are too few epochs to tell what goes on."""
        return len(self.loss) < 4

    @cached_property
    def excess(self) -> float:
        """The first loss in units of chance, without what dropout adds."""
        if not self.curve.chance:
            return 1.0
        return self.first / self.curve.chance / self.gain

    @cached_property
    def level(self) -> float:
        """The training loss in the end, without penalties."""
        return (self.end - self.curve.last_penalty) / self.base

    @cached_property
    def penalty_share(self) -> float:
        """Share of the penalty in what the loss has lost."""
        lost = self.fine[0] - self.end
        off = self.curve.penalty - self.curve.last_penalty
        return float(off / lost) if lost > 0 else 0.0

    @cached_property
    def gap(self) -> float:
        """How far the validation loss ends above the training loss."""
        gap = (self.val_end - self.end) / self.base
        return float(np.nan_to_num(gap))

    @cached_property
    def bounce(self) -> float:
        """All rises from one epoch to the next together."""
        return self._rises(self.loss)

    @cached_property
    def late_bounce(self) -> float:
        """The same in the second half."""
        return self._rises(self.loss[len(self.loss) // 2 :])

    @cached_property
    def spike(self) -> float:
        """The highest rise above an earlier loss."""
        lowest = np.minimum.accumulate(self.fine)
        return float((self.fine - lowest).max() / self.base / self.gain)

    @cached_property
    def late_fall(self) -> float:
        """Share of the fall that came in the last quarter: 0.25 for a line."""
        fall = self.loss[0] - self.end
        before = self.loss[len(self.loss) * 3 // 4 - 1]
        return float((before - self.end) / fall) if fall > 0 else 0.0

    @cached_property
    def wiggle(self) -> float:
        """Typical bend from epoch to epoch in the second half, by its level."""
        bends = np.diff(self.loss[len(self.loss) // 2 :], 2)
        if not len(bends) or not self.end:
            return 1.0
        return float(np.median(np.abs(bends)) / self.end)

    @cached_property
    def pace(self) -> float | None:
        """What a step moves the weights by, as a share of them, at most."""
        return max(self.curve.paces) if len(self.curve.paces) else None

    @cached_property
    def rest(self) -> float | None:
        """The last pace as a share of the highest."""
        return self.curve.paces[-1] / self.pace if self.pace else None

    @cached_property
    def turn(self) -> float | None:
        """Typical cosine between the moves of an epoch and the next."""
        turns = self.curve.turns
        return float(np.median(turns)) if len(turns) else None

    @cached_property
    def flat(self) -> float:
        """When a tenth of the fall was done, as a share of the time."""
        return self._time_of(0.1)

    @cached_property
    def half(self) -> float:
        """When half of the fall was done."""
        return self._time_of(0.5)

    @cached_property
    def stop(self) -> float:
        """When next to all of the fall was done."""
        return self._time_of(0.95)

    @cached_property
    def is_alike(self) -> bool:
        """Whether the outputs are alike, at ln C, for as long as it is flat.

        One batch may have such a loss by chance.
        """
        if not self.curve.chance or abs(self.excess - 1) > 0.01:
            return False
        start = self.fine[: 1 + round(self.flat * len(self.fine))]
        return bool(start.mean() < 1.02 * self.curve.chance)

    def _rises(self, loss: np.ndarray) -> float:
        rises = np.maximum(np.diff(loss), 0).sum()
        return float(rises / self.base / self.gain)

    def _time_of(self, share: float) -> float:
        level = self.fine[0] - share * (self.fine[0] - self.end)
        return float(np.argmax(self.fine <= level) / len(self.fine))


def _last(values: np.ndarray) -> float:
    return float(np.median(values[-max(1, len(values) // 10) :]))
