"""Cosine cycles, each of which ends in a model worth keeping."""

import math

import keras
from keras import ops

from ._arguments import check_rate, check_steps


@keras.saving.register_keras_serializable(package="dropzoo")
class SnapshotCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Falls along half a cosine to nearly zero, again and again.

    With `T` steps in `M` cycles of `L = T / M` steps, step `t = 0, 1, ...` has
    the rate

        initial_learning_rate / 2 * (cos(pi * (t mod L) / L) + 1)

    A cycle begins at the whole rate. Its last step has the least rate, not
    quite zero; the step after it would be zero and is the restart. The paper
    counts from 1 and writes `t - 1`. Steps from `T` on keep the last rate: a
    training that is a little longer than planned does not leave its last
    minimum.

    Args:
        initial_learning_rate: Float above 0; the rate of each restart.
        decay_steps: Number of optimizer steps of the whole training, `T`.
        num_cycles: Number of cycles, `M`, which must divide `decay_steps`:
            otherwise the last one would be cut off far from zero.

    Raises:
        TypeError: A number of steps or cycles is not an integer.
        ValueError: The rate is not above 0, a number is below 1, or the
            cycles do not divide the steps.

    Example:
        >>> schedule = SnapshotCosine(0.1, decay_steps=8, num_cycles=2)
        >>> [round(float(schedule(step)), 3) for step in range(6)]
        [0.1, 0.085, 0.05, 0.015, 0.1, 0.085]

    Reference: Huang et al., "Snapshot Ensembles: Train 1, Get M for Free",
        2017, equation 2.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, num_cycles: int
    ):
        super().__init__()
        check_rate(self, "initial_learning_rate", initial_learning_rate)
        check_steps(self, "decay_steps", decay_steps)
        check_steps(self, "num_cycles", num_cycles)
        if decay_steps % num_cycles:
            below = decay_steps // num_cycles * num_cycles
            steps = [n for n in (below, below + num_cycles) if n]
            raise ValueError(
                "SnapshotCosine: `num_cycles` must divide `decay_steps`, or "
                "the last cycle would not end near zero. Received: "
                f"decay_steps={decay_steps}, num_cycles={num_cycles}; take "
                f"{' or '.join(map(str, steps))} steps."
            )
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.num_cycles = num_cycles

    def __call__(self, step):
        length = self.decay_steps // self.num_cycles
        # In integers, which stay exact however long the training is.
        step = ops.minimum(ops.cast(step, "int32"), self.decay_steps - 1)
        remaining = ops.cast(length - ops.mod(step, length), "float32")
        # (cos(x) + 1) / 2 = sin((pi - x) / 2) ** 2; the sum on the left has no
        # correct digits left in float32 where the cosine is nearly -1.
        height = ops.square(ops.sin(remaining * (math.pi / 2 / length)))
        return self.initial_learning_rate * height

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "num_cycles": self.num_cycles,
        }
