"""One rise to a large rate and one long fall."""

import math
from typing import Literal

import keras
from keras import ops

from ._arguments import check_rate, check_steps

# Default share of the steps that rise.
WARMUP_SHARE = {"torch": 0.3, "fastai": 0.25, "smith": 0.3}


@keras.saving.register_keras_serializable(package="dropzoo")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Rises from a low rate to the peak, then falls far below the start.

    Three shapes are in use. With `T` steps, of which the share `w` rises:

    - "torch": half a cosine up, which ends at step `w * T - 1`, and half a
      cosine down, which reaches the final rate in the last step, `T - 1`.
      PyTorch's `OneCycleLR` as it stands.
    - "fastai": the same two curves, which end at `w * T` and `T`, so that the
      last step is one short of the final rate. fastai's `fit_one_cycle`.
    - "smith": straight lines up to `w * T - 1`, down to the initial rate at
      `2 * w * T - 2`, and on to the final rate in the last step, as the paper
      has it. `OneCycleLR` with three phases and linear annealing.

    Steps behind the end keep the final rate. Both libraries lower the
    momentum while the rate rises; a schedule cannot do that in Keras, and the
    momentum stays what the optimizer has.

    Args:
        maximal_learning_rate: Float above 0; the peak.
        decay_steps: Number of optimizer steps of the whole training, `T`.
        warmup_share: Float in (0, 1), for "smith" at most 0.5; share of the
            steps that rise. `None`: 0.25 for "fastai", 0.3 for the others.
        shape: "torch", "fastai" or "smith". Defaults to "torch".
        initial_divisor: Float above 0; the first rate is the peak divided by
            it. Defaults to 25.
        final_divisor: Float above 0; the final rate is the peak divided by
            it. `None`: 100000 for "fastai", 10000 times `initial_divisor` for
            the others.

    Raises:
        TypeError: `decay_steps` is not an integer.
        ValueError: An argument is outside its range, or the shape is unknown.

    Example:
        >>> schedule = OneCycle(1.0, decay_steps=10)
        >>> [round(float(schedule(step)), 2) for step in range(10)]
        [0.04, 0.52, 1.0, 0.95, 0.81, 0.61, 0.39, 0.19, 0.05, 0.0]

    Reference: Smith and Topin, "Super-Convergence: Very Fast Training of
        Neural Networks Using Large Learning Rates", 2018, section 3.
    """

    def __init__(
        self,
        maximal_learning_rate: float,
        decay_steps: int,
        *,
        warmup_share: float | None = None,
        shape: Literal["torch", "fastai", "smith"] = "torch",
        initial_divisor: float = 25.0,
        final_divisor: float | None = None,
    ):
        super().__init__()
        check_rate(self, "maximal_learning_rate", maximal_learning_rate)
        check_steps(self, "decay_steps", decay_steps)
        check_rate(self, "initial_divisor", initial_divisor)
        if final_divisor is not None:
            check_rate(self, "final_divisor", final_divisor)
        _check_shape(shape, warmup_share)
        self.maximal_learning_rate = maximal_learning_rate
        self.decay_steps = decay_steps
        self.warmup_share = warmup_share
        self.shape = shape
        self.initial_divisor = initial_divisor
        self.final_divisor = final_divisor

    def __call__(self, step):
        (begin, rate), *corners = self._corners()
        step = ops.cast(step, "float32")
        result = ops.full_like(step, corners[-1][1])
        # From the last phase back: a step belongs to the first that it is in.
        starts = [(begin, rate), *corners[:-1]]
        for (begin, first), (end, last) in reversed(
            list(zip(starts, corners, strict=True))
        ):
            if end > begin:  # else the training is too short for the phase
                weight = self._fall((end - step) / (end - begin))
                rate = last + (first - last) * weight
                result = ops.where(step <= end, rate, result)
        return result

    def _corners(self) -> list[tuple[float, float]]:
        """Steps and rates between which the curves run."""
        peak, steps = self.maximal_learning_rate, self.decay_steps
        share = self.warmup_share or WARMUP_SHARE[self.shape]
        divisor = 1e5 if self.shape == "fastai" else 1e4 * self.initial_divisor
        initial = peak / self.initial_divisor
        final = peak / (self.final_divisor or divisor)
        if self.shape == "fastai":
            return [(0, initial), (share * steps, peak), (steps, final)]
        corners = [(0, initial), (share * steps - 1, peak)]
        if self.shape == "smith":
            corners.append((2 * share * steps - 2, initial))
        return [*corners, (steps - 1, final)]

    def _fall(self, remaining):
        """What is left of a phase's first rate; `remaining` goes from 1 to 0.

        The square of the sine is (1 + cos) / 2 with all of its digits.
        """
        if self.shape == "smith":
            return remaining
        return ops.square(ops.sin(remaining * (math.pi / 2)))

    def get_config(self):
        return {
            "maximal_learning_rate": self.maximal_learning_rate,
            "decay_steps": self.decay_steps,
            "warmup_share": self.warmup_share,
            "shape": self.shape,
            "initial_divisor": self.initial_divisor,
            "final_divisor": self.final_divisor,
        }


def _check_shape(shape: str, warmup_share: float | None) -> None:
    if shape not in WARMUP_SHARE:
        raise ValueError(
            "OneCycle: `shape` must be 'torch', 'fastai' or 'smith'. "
            f"Received: shape={shape!r}"
        )
    if warmup_share is None:
        return
    if not 0 < warmup_share < 1:
        raise ValueError(
            "OneCycle: `warmup_share` must be in (0, 1). "
            f"Received: warmup_share={warmup_share!r}"
        )
    if shape == "smith" and warmup_share > 0.5:
        raise ValueError(
            "OneCycle: `warmup_share` must be at most 0.5 where `shape` is "
            "'smith', whose fall takes as long as its rise. "
            f"Received: warmup_share={warmup_share!r}"
        )
