"""The curve of a range test: loss over learning rate."""

from dropzoo.callbacks.rate_suggestions import FEWEST_POINTS, RateSuggestions

SKIPPED_END = 5  # iterations at the end, where the loss already diverges
FEWEST = 25  # iterations, so that enough of them can be read


class RateCurve:
    """Records one loss for each rate, smooths them and sees the end.

    The smoothed loss is `s = smoothing s + (1 - smoothing) loss`, from 0 on,
    divided by `1 - smoothing**n`.

    Args:
        num_iterations: Length of the whole curve, at least 25.
        smoothing: Weight of the past, in [0, 1).
        divergence: The curve ends where the smoothed loss is more than so
            many times its lowest, if that is above 0; above 1.

    Attributes:
        rates: The rates so far.
        losses: Smoothed loss at each of them.
        batch_losses: Loss at each of them.

    Raises: ValueError when an argument is outside its range.
    """

    def __init__(
        self,
        num_iterations: int,
        *,
        smoothing: float = 0.98,
        divergence: float = 4.0,
    ):
        if num_iterations < FEWEST:
            raise ValueError(
                f"LearningRateFinder: `num_iterations` must be at least "
                f"{FEWEST}. Received: num_iterations={num_iterations!r}"
            )
        if not 0 <= smoothing < 1:
            raise ValueError(
                "LearningRateFinder: `smoothing` must be in [0, 1). "
                f"Received: smoothing={smoothing!r}"
            )
        if not divergence > 1:
            raise ValueError(
                "LearningRateFinder: `divergence` must be above 1. "
                f"Received: divergence={divergence!r}"
            )
        self.num_iterations = num_iterations
        self.smoothing = smoothing
        self.divergence = divergence
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.batch_losses: list[float] = []
        self._average = 0.0

    def record(self, rate: float, loss: float) -> None:
        """Adds a point.

        Args:
            rate: Rate of the iteration.
            loss: Loss of its batch, finite.
        """
        self.rates.append(rate)
        self.batch_losses.append(loss)
        past = self.smoothing
        self._average = past * self._average + (1 - past) * loss
        self.losses.append(self._average / (1 - past ** len(self.rates)))

    def has_ended(self) -> bool:
        """Whether the last rate has come, or the loss has diverged."""
        if not self.rates:
            return False
        lowest = min(self.losses)
        diverged = 0 < self.divergence * lowest < self.losses[-1]
        return diverged or len(self.rates) == self.num_iterations

    def read(self) -> RateSuggestions:
        """Reads the suggestions off the curve, without its two ends.

        The first tenth of all iterations and the last five points are not
        read.

        Raises: ValueError when the curve is empty or too short: it ended with
            a loss that is not finite, or diverged early.
        """
        if not self.rates:
            raise ValueError(
                "LearningRateFinder: the loss of the first batch must be "
                "finite; look at the data, the labels and the weights."
            )
        read = slice(self.num_iterations // 10, len(self.rates) - SKIPPED_END)
        if len(self.rates[read]) < FEWEST_POINTS:
            raise ValueError(
                f"LearningRateFinder: the loss diverged after "
                f"{len(self.rates)} of {self.num_iterations} iterations, at "
                f"the rate {self.rates[-1]:.1e}, which is too early for a "
                f"curve; give a lower `start_rate` than {self.rates[0]:.1e}."
            )
        return RateSuggestions.read(self.rates[read], self.losses[read])
