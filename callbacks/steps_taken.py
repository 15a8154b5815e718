"""Reads the state of an optimizer."""

import keras


def steps_taken(optimizer: keras.optimizers.Optimizer) -> int:
    """The number that the optimizer gives its schedule next.

    Args:
        optimizer: A built optimizer, wrapped for loss scaling or not. A step
            that loss scaling skips is not counted; a batch that
            `gradient_accumulation_steps` holds back is.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    counter = next(v for v in inner.variables if v.name == "iteration")
    return int(keras.ops.convert_to_numpy(counter.value))


def updates_made(optimizer: keras.optimizers.Optimizer) -> int:
    """The number of times that the optimizer has moved the weights.

    Args:
        optimizer: A built optimizer, wrapped for loss scaling or not, or a
            `MultiOptimizer`. Neither a step that loss scaling skips nor a
            batch that `gradient_accumulation_steps` holds back is counted.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    parts = getattr(inner, "optimizers", [inner])
    return max(
        int(keras.ops.convert_to_numpy(part.iterations)) for part in parts
    )


def optimizer_schedule(
    optimizer: keras.optimizers.Optimizer,
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The schedule that an optimizer was made with, as a copy.

    Args:
        optimizer: The optimizer, wrapped for loss scaling or not.

    Raises: ValueError when it has a rate without a schedule.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    rate = inner.get_config()["learning_rate"]
    if not isinstance(rate, dict):
        raise ValueError(
            f"optimizer_schedule: `optimizer` must have a "
            "LearningRateSchedule, such as dropzoo.schedules.SnapshotCosine. "
            f"Received: {inner.name} with learning_rate={rate!r}"
        )
    return keras.saving.deserialize_keras_object(rate)
