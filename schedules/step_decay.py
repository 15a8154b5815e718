"""A rate that falls by a factor every few epochs."""

import keras
from keras import ops

from ._arguments import check_rate, check_steps


@keras.saving.register_keras_serializable(package="dropzoo")
class StepDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Multiplies the rate by a factor every few epochs.

    Step `t` belongs to epoch `e = floor(t / steps_per_epoch)`, counted from 0,
    and has the rate

        initial_learning_rate * factor ** floor(e / epochs_per_drop)

    so that the first step of epoch `epochs_per_drop` is the first with the
    lower rate. There is no end to it.

    Args:
        initial_learning_rate: Float above 0; the first rate.
        epochs_per_drop: Number of epochs with the same rate, an integer.
        steps_per_epoch: Number of optimizer steps in an epoch.
        factor: Float in (0, 1]. Defaults to 0.1, for a drop every 20 to 30
            epochs; with 0.5 a drop every 5 epochs is usual.

    Raises:
        TypeError: A number of epochs or steps is not an integer.
        ValueError: An argument is outside its range.

    Example:
        >>> schedule = StepDecay(0.1, epochs_per_drop=2, steps_per_epoch=50)
        >>> [round(float(schedule(step)), 4) for step in (0, 99, 100, 200)]
        [0.1, 0.1, 0.01, 0.001]

    Reference: Stanford course CS231n, "Neural Networks Part 3", "Annealing
        the learning rate".
    """

    def __init__(
        self,
        initial_learning_rate: float,
        epochs_per_drop: int,
        steps_per_epoch: int,
        *,
        factor: float = 0.1,
    ):
        super().__init__()
        check_rate(self, "initial_learning_rate", initial_learning_rate)
        check_steps(self, "epochs_per_drop", epochs_per_drop)
        check_steps(self, "steps_per_epoch", steps_per_epoch)
        if not 0 < factor <= 1:
            raise ValueError(
                "StepDecay: `factor` must be in (0, 1]. "
                f"Received: factor={factor!r}"
            )
        self.initial_learning_rate = initial_learning_rate
        self.epochs_per_drop = epochs_per_drop
        self.steps_per_epoch = steps_per_epoch
        self.factor = factor

    def __call__(self, step):
        # In integers: a drop never comes a step too early or too late.
        length = self.epochs_per_drop * self.steps_per_epoch
        drops = ops.floor_divide(ops.cast(step, "int32"), length)
        share = ops.power(self.factor, ops.cast(drops, "float32"))
        return self.initial_learning_rate * share

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "epochs_per_drop": self.epochs_per_drop,
            "steps_per_epoch": self.steps_per_epoch,
            "factor": self.factor,
        }
