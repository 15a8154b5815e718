"""A schedule that waits for accumulated gradients."""

import keras
from keras import ops

from ._arguments import check_steps


@keras.saving.register_keras_serializable(package="dropzoo")
class PerUpdate(keras.optimizers.schedules.LearningRateSchedule):
    """Counts updates of the weights where Keras counts batches.

    An optimizer with `gradient_accumulation_steps=n` holds `n - 1` batches
    back and moves the weights with the n-th. Keras gives its schedule the
    number of batches, so that it would run `n` times too fast; this gives the
    schedule inside the number of updates, `floor(step / n)`. Steps that a
    `LossScaleOptimizer` skips are not counted by Keras in the first place.

    Args:
        schedule: A `keras.optimizers.schedules.LearningRateSchedule`.
        gradient_accumulation_steps: The optimizer's own, an integer of at
            least 1.

    Raises:
        TypeError: `schedule` is not a schedule, or the number of steps not an
            integer.
        ValueError: The number of steps is below 1.

    Example:
        >>> cosine = keras.optimizers.schedules.CosineDecay(0.1, 100)
        >>> optimizer = keras.optimizers.SGD(
        ...     PerUpdate(cosine, 4), gradient_accumulation_steps=4
        ... )
    """

    def __init__(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        gradient_accumulation_steps: int,
    ):
        super().__init__()
        if not isinstance(
            schedule, keras.optimizers.schedules.LearningRateSchedule
        ):
            raise TypeError(
                "PerUpdate: `schedule` must be a LearningRateSchedule. "
                f"Received: schedule={schedule!r}"
            )
        check_steps(
            self, "gradient_accumulation_steps", gradient_accumulation_steps
        )
        self.schedule = schedule
        self.gradient_accumulation_steps = gradient_accumulation_steps

    def __call__(self, step):
        step = ops.cast(step, "int32")
        return self.schedule(
            ops.floor_divide(step, self.gradient_accumulation_steps)
        )

    def get_config(self):
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["gradient_accumulation_steps"])
