"""Where a learning rate has its minima."""

import keras


class RateCycles:
    """Follows a schedule step by step and tells the end of each cycle.

    A cycle ends with the last step before the rate rises again, if the rate
    has fallen before. So a warm-up does not end one.

    Args:
        schedule: The schedule.
        step: Number of steps that are already taken.
    """

    def __init__(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        step: int = 0,
    ):
        self.schedule = schedule
        self.step = step
        self._rate = self._rate_at(step)
        before = step
        while before > 0 and self._rate_at(before - 1) == self._rate:
            before -= 1
        self._fell = before > 0 and self._rate_at(before - 1) > self._rate

    def advance(self) -> bool:
        """Goes on by one step, and tells whether it was a cycle's last."""
        self.step += 1
        before, self._rate = self._rate, self._rate_at(self.step)
        if self._rate == before:
            return False
        rises, fell = self._rate > before, self._fell
        self._fell = not rises
        return rises and fell

    def at_rest(self) -> bool:
        """Whether the rate has fallen and is about to fall no further."""
        if not self._fell:
            return False
        before, after = map(self._rate_at, (self.step - 1, self.step + 1))
        return self._rate >= before or after >= self._rate

    def _rate_at(self, step: int) -> float:
        return float(keras.ops.convert_to_numpy(self.schedule(step)))
