"""Rates that go up and down between two bounds."""

import math
from typing import Literal

import keras
from keras import ops

from ._arguments import check_rate, check_steps

MODES = ("triangular", "triangular2", "exp_range")


@keras.saving.register_keras_serializable(package="dropzoo")
class CyclicalLearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """Rises and falls in straight lines between a base and a maximal rate.

    With step size `s`, step `t` has the rate

        cycle = floor(1 + t / (2 * s))
        x = |t / s - 2 * cycle + 1|
        rate = base + (maximal - base) * max(0, 1 - x) * scale

    A cycle takes `2 * s` steps, begins at the base rate and is at its peak
    after `s` steps. The mode names the scale: 1 in "triangular",
    `1 / 2 ** (cycle - 1)` in "triangular2", whose peaks are halved with each
    cycle, and `gamma ** t` in "exp_range". The cycles go on without end.

    Args:
        base_learning_rate: Float above 0; the lower bound.
        maximal_learning_rate: Float, at least the base rate; the upper bound.
        step_size: Number of optimizer steps in half a cycle. The paper takes
            2 to 10 epochs' worth.
        mode: "triangular", "triangular2" or "exp_range". Defaults to
            "triangular".
        gamma: Float in (0, 1], the decay in each step of "exp_range", which
            needs it; `None` for the other modes.

    Raises:
        TypeError: `step_size` is not an integer.
        ValueError: An argument is outside its range, the mode is unknown, or
            `gamma` and mode do not fit together.

    Example:
        >>> schedule = CyclicalLearningRate(0.1, 0.5, step_size=2)
        >>> [round(float(schedule(step)), 3) for step in range(6)]
        [0.1, 0.3, 0.5, 0.3, 0.1, 0.3]

    Reference: Smith, "Cyclical Learning Rates for Training Neural Networks",
        2017, sections 3.1 and 3.2.
    """

    def __init__(
        self,
        base_learning_rate: float,
        maximal_learning_rate: float,
        step_size: int,
        *,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float | None = None,
    ):
        super().__init__()
        check_rate(self, "base_learning_rate", base_learning_rate)
        check_rate(self, "maximal_learning_rate", maximal_learning_rate)
        check_steps(self, "step_size", step_size)
        if maximal_learning_rate < base_learning_rate:
            raise ValueError(
                "CyclicalLearningRate: `maximal_learning_rate` must be at "
                "least `base_learning_rate`. Received: "
                f"maximal_learning_rate={maximal_learning_rate!r}, "
                f"base_learning_rate={base_learning_rate!r}"
            )
        _check_mode(mode, gamma)
        self.base_learning_rate = base_learning_rate
        self.maximal_learning_rate = maximal_learning_rate
        self.step_size = step_size
        self.mode = mode
        self.gamma = gamma

    def __call__(self, step):
        # In integers, which stay exact however long the training is.
        step = ops.cast(step, "int32")
        position = ops.mod(step, 2 * self.step_size)
        nearest = ops.minimum(position, 2 * self.step_size - position)
        height = ops.cast(nearest, "float32") / self.step_size  # 1 - x
        span = self.maximal_learning_rate - self.base_learning_rate
        return self.base_learning_rate + span * height * self._scale(step)

    def _scale(self, step):
        if self.mode == "triangular2":
            finished = ops.floor_divide(step, 2 * self.step_size)
            return ops.power(0.5, ops.cast(finished, "float32"))
        if self.mode == "exp_range":
            # gamma is nearly 1, and what float32 keeps of it is too little
            # for a power of many thousands; its logarithm has all digits.
            exponent = ops.cast(step, "float32") * math.log(self.gamma)
            return ops.exp(exponent)
        return 1.0

    def get_config(self):
        return {
            "base_learning_rate": self.base_learning_rate,
            "maximal_learning_rate": self.maximal_learning_rate,
            "step_size": self.step_size,
            "mode": self.mode,
            "gamma": self.gamma,
        }


def _check_mode(mode: str, gamma: float | None) -> None:
    if mode not in MODES:
        raise ValueError(
            "CyclicalLearningRate: `mode` must be 'triangular', 'triangular2' "
            f"or 'exp_range'. Received: mode={mode!r}"
        )
    if mode != "exp_range" and gamma is not None:
        raise ValueError(
            "CyclicalLearningRate: `gamma` must be None where `mode` is not "
            f"'exp_range'. Received: gamma={gamma!r}, mode={mode!r}"
        )
    if mode == "exp_range" and not (gamma is not None and 0 < gamma <= 1):
        raise ValueError(
            "CyclicalLearningRate: `gamma` must be in (0, 1] where `mode` is "
            f"'exp_range'. Received: gamma={gamma!r}"
        )
