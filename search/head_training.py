"""A head that learns from some examples and is judged by others."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from dropzoo import schedules
from dropzoo.search.reusable_head import Logs, ReusableHead


class HeadTraining:
    """A training, epoch by epoch.

    Args:
        head: Where the training begins, or goes on.
        examples: Features `(n, num_features)` and classes `(n,)`, tensors.
        learn: Positions of those to learn from.
        judged: Such a pair to judge by; `None` for no judging.
        drawn: Values of `peak_rate` and `schedule`.
        epochs: Passes over the examples, with which the schedule ends.
        batch_size: Examples in a step; fewer where there are no more.
        seed: Of the order of examples, another one in each epoch.

    Attributes:
        num_judged: How many examples it is judged by.
    """

    def __init__(
        self,
        head: ReusableHead,
        examples: tuple[Any, Any],
        learn: np.ndarray,
        judged: tuple[Any, Any] | None,
        drawn: Mapping[str, Any],
        *,
        epochs: int,
        batch_size: int,
        seed: int,
    ):
        self.head = head
        self.examples = examples
        self.learn = learn.astype("int32")
        self.judged = judged
        self.num_judged = 0 if judged is None else len(judged[1])
        self.batch_size = min(batch_size, len(learn))
        self.steps = len(learn) // self.batch_size
        unit = _unit_rates(drawn["schedule"], epochs * self.steps)
        self.rates = (drawn["peak_rate"] * unit).astype("float32")
        self.seed = seed

    def go_on(self, epoch: int) -> None:
        """Takes up the optimizer's count of steps.

        Args:
            epoch: The next one, from 0.
        """
        steps = epoch * self.steps
        self.head.model.optimizer.iterations.assign(steps)

    def epoch(self, number: int) -> Logs:
        """Makes the steps of an epoch, and judges what came of them.

        Args:
            number: Of the epoch, from 0.
        """
        rng = np.random.default_rng((self.seed, number))
        order = self.learn[rng.permutation(len(self.learn))]
        used = order[: self.steps * self.batch_size]
        steps = slice(number * self.steps, (number + 1) * self.steps)
        logs = self.head.train(
            *self.examples, used.reshape(self.steps, -1), self.rates[steps]
        )
        if self.judged is not None:
            found = self.head.score(*self.judged)
            logs |= {f"val_{name}": value for name, value in found.items()}
        return logs


@functools.cache
def _unit_rates(schedule: str, steps: int) -> np.ndarray:
    """The rates of a schedule whose peak is 1: all of them scale with it."""
    rate = schedules.get(schedule, peak=1.0, steps=steps)
    return np.array([float(rate(step)) for step in range(steps)])
