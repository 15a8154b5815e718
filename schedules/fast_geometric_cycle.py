"""The cycles of fast geometric ensembling."""

import keras
from keras import ops

from ._arguments import check_rate, check_steps
from .cyclical_learning_rate import CyclicalLearningRate


@keras.saving.register_keras_serializable(package="dropzoo")
class FastGeometricCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Falls and rises in straight lines, with the minimum in mid-cycle.

    In iteration `i`, from 1 on, of cycles of `c` iterations the rate is, with
    `t = (mod(i - 1, c) + 1) / c`,

        (1 - 2 t) maximal + 2 t minimal        for t <= 1/2
        (2 - 2 t) minimal + (2 t - 1) maximal  for t > 1/2

    It goes on with a training that has nearly converged. Members of the
    ensemble are the weights after iterations `c / 2`, `3 c / 2`, ..., which
    were trained at the minimal rate; `SnapshotEnsemble` keeps just these. The
    cycles go on without end.

    Args:
        maximal_learning_rate: Float above 0, reached in the last iteration of
            each cycle. The paper takes 0.05 for ResNets.
        minimal_learning_rate: Float above 0, at most the maximal one. The
            paper takes a hundredth of it.
        cycle_steps: Even number of optimizer steps in a cycle, at least 4. The
            paper takes 2 to 4 epochs' worth.

    Raises:
        TypeError: `cycle_steps` is not an integer.
        ValueError: An argument is outside its range.

    Example:
        >>> schedule = FastGeometricCycle(0.5, 0.1, cycle_steps=4)
        >>> [round(float(schedule(step)), 3) for step in range(6)]
        [0.3, 0.1, 0.3, 0.5, 0.3, 0.1]

    Reference: Garipov et al., "Loss Surfaces, Mode Connectivity, and Fast
        Ensembling of DNNs", 2018, section 4.
    """

    def __init__(
        self,
        maximal_learning_rate: float,
        minimal_learning_rate: float,
        cycle_steps: int,
    ):
        super().__init__()
        check_rate(self, "maximal_learning_rate", maximal_learning_rate)
        check_rate(self, "minimal_learning_rate", minimal_learning_rate)
        check_steps(self, "cycle_steps", cycle_steps)
        if maximal_learning_rate < minimal_learning_rate:
            raise ValueError(
                "FastGeometricCycle: `minimal_learning_rate` must be at most "
                "`maximal_learning_rate`. Received: "
                f"minimal_learning_rate={minimal_learning_rate!r}, "
                f"maximal_learning_rate={maximal_learning_rate!r}"
            )
        if cycle_steps % 2 or cycle_steps < 4:
            raise ValueError(
                "FastGeometricCycle: `cycle_steps` must be even and at least "
                f"4. Received: cycle_steps={cycle_steps!r}"
            )
        self.maximal_learning_rate = maximal_learning_rate
        self.minimal_learning_rate = minimal_learning_rate
        self.cycle_steps = cycle_steps
        self._half = cycle_steps // 2
        self._triangle = CyclicalLearningRate(
            minimal_learning_rate, maximal_learning_rate, self._half
        )

    def __call__(self, step):
        # The triangle is at its peak after half a cycle; here the step after
        # the peak is the first. In integers, whose sum must not overflow.
        step = ops.mod(ops.cast(step, "int32"), self.cycle_steps)
        return self._triangle(step + self._half + 1)

    def get_config(self):
        return {
            "maximal_learning_rate": self.maximal_learning_rate,
            "minimal_learning_rate": self.minimal_learning_rate,
            "cycle_steps": self.cycle_steps,
        }
