"""Checks of arguments that several schedules take, in the same sentences."""

import math


def check_rate(schedule: object, name: str, value: float) -> None:
    """Raises ValueError unless `value` is a finite rate above 0."""
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(
            f"{type(schedule).__name__}: `{name}` must be above 0 and finite. "
            f"Received: {name}={value!r}"
        )


def check_steps(schedule: object, name: str, value: int) -> None:
    """Raises TypeError or ValueError unless `value` is an integer from 1."""
    is_integer = isinstance(value, int)
    if not is_integer or value < 1:
        raise (ValueError if is_integer else TypeError)(
            f"{type(schedule).__name__}: `{name}` must be an integer of at "
            f"least 1. Received: {name}={value!r}"
        )
