"""A gentle start for any learning-rate schedule."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dropzoo")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to a schedule's first rate, then follows the schedule.

    With `w` warm-up steps, step `t < w` has the rate
    `schedule(0) * (t + 1) / (w + 1)`; step `w` has exactly `schedule(0)`, the
    rate that was asked for, and step `t >= w` has `schedule(t - w)`.

    Args:
        schedule: A `keras.optimizers.schedules.LearningRateSchedule`.
        warmup_steps: Number of optimizer steps below the first rate, at
            least 0.

    Raises:
        TypeError: `schedule` is not a schedule.
        ValueError: `warmup_steps` is negative.

    Example:
        >>> cosine = keras.optimizers.schedules.CosineDecay(0.1, 100)
        >>> schedule = Warmup(cosine, warmup_steps=4)
        >>> [round(float(schedule(step)), 3) for step in range(5)]
        [0.02, 0.04, 0.06, 0.08, 0.1]

    Reference: Goyal et al., "Accurate, Large Minibatch SGD", 2017, section
        2.2.
    """

    def __init__(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        warmup_steps: int,
    ):
        super().__init__()
        if not isinstance(
            schedule, keras.optimizers.schedules.LearningRateSchedule
        ):
            raise TypeError(
                "Warmup: `schedule` must be a LearningRateSchedule. "
                f"Received: schedule={schedule!r}"
            )
        if warmup_steps < 0:
            raise ValueError(
                "Warmup: `warmup_steps` must be at least 0. "
                f"Received: warmup_steps={warmup_steps!r}"
            )
        self.schedule = schedule
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "int32")  # exact however long the training is
        share = ops.cast(step + 1, "float32") / (self.warmup_steps + 1)
        rising = ops.cast(self.schedule(0), "float32") * share
        following = self.schedule(ops.maximum(step - self.warmup_steps, 0))
        return ops.where(
            step < self.warmup_steps, rising, ops.cast(following, "float32")
        )

    def get_config(self):
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "warmup_steps": self.warmup_steps,
        }

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["warmup_steps"])
