"""The shape of a loss curve, in quantities without a scale."""

import numpy as np

from dropzoo.callbacks.loss_curve import LossCurve


class CurveShape:
    """Measures a loss curve in shares of its own heights and length.

    Heights are shares of `base`, the loss of who knows nothing: ln C where it
    is known and lower than the first loss, else the first loss.

    Args:
        curve: The losses.

    Attributes:
        first: The first loss.
        end: Median training loss of the last tenth of the epochs.
        val_end: The same of the validation loss; NaN without one.
        base: What a height of 1 is.
        knows_chance: Whether ln C is known.
    """

    def __init__(self, curve: LossCurve):
        self.curve = curve
        self.fine = curve.fine()
        self.loss = np.array(curve.loss, "float64")
        self.val = np.array(curve.val_loss, "float64")
        self.first = float(self.fine[0])
        self.end = _last(self.loss)
        self.val_end = _last(self.val) if len(self.val) else float("nan")
        chance = curve.chance
        self.knows_chance = bool(chance)
        self.base = min(self.first, chance) if chance else self.first

    @property
    def is_finite(self) -> bool:
        """Whether all losses are."""
        return bool(np.isfinite([*self.fine, *self.loss, *self.val]).all())

    @property
    def is_short(self) -> bool:
        """Whether there are too few epochs to tell what goes on."""
        return len(self.loss) < 4

    @property
    def excess(self) -> float:
        """The first loss, without penalties, in units of chance."""
        if not self.curve.chance:
            return 1.0
        return (self.first - self.curve.penalty) / self.curve.chance

    @property
    def level(self) -> float:
        """The training loss in the end."""
        return self.end / self.base

    @property
    def gap(self) -> float:
        """How far the validation loss ends above the training loss."""
        gap = (self.val_end - self.end) / self.base
        return float(np.nan_to_num(gap))

    @property
    def bounce(self) -> float:
        """All rises from one epoch to the next together."""
        return float(np.maximum(np.diff(self.loss), 0).sum() / self.base)

    @property
    def spike(self) -> float:
        """The highest rise above an earlier loss."""
        lowest = np.minimum.accumulate(self.fine)
        return float((self.fine - lowest).max() / self.base)

    @property
    def late_fall(self) -> float:
        """Share of the fall that came in the last quarter: 0.25 for a line."""
        fall = self.loss[0] - self.end
        before = self.loss[len(self.loss) * 3 // 4 - 1]
        return float((before - self.end) / fall) if fall > 0 else 0.0

    @property
    def wiggle(self) -> float:
        """Typical bend from epoch to epoch in the second half, by its level."""
        bends = np.diff(self.loss[len(self.loss) // 2 :], 2)
        return float(np.median(np.abs(bends)) / self.end) if len(bends) else 1.0

    def time_of(self, share: float) -> float:
        """When a share of the fall was done, as a share of the time."""
        level = self.first - share * (self.first - self.end)
        return float(np.argmax(self.fine <= level) / len(self.fine))


def _last(values: np.ndarray) -> float:
    return float(np.median(values[-max(1, len(values) // 10) :]))
