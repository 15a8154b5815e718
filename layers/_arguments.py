"""Checks of arguments that several layers take, in the same sentences."""


def check_rate(layer: object, rate: float) -> None:
    """Raises ValueError unless `rate` is in [0, 1)."""
    if not 0 <= rate < 1:
        raise ValueError(
            f"{type(layer).__name__}: `rate` must be in [0, 1). "
            f"Received: rate={rate!r}"
        )


def check_integer(layer: object, name: str, value: int, least: int) -> None:
    """Raises TypeError or ValueError unless `value` is an integer >= least."""
    is_integer = isinstance(value, int)
    if not is_integer or value < least:
        raise (ValueError if is_integer else TypeError)(
            f"{type(layer).__name__}: `{name}` must be an integer of at least "
            f"{least}. Received: {name}={value!r}"
        )


def check_choice(layer: object, name: str, value: object, *choices) -> None:
    """Raises ValueError unless `value` is one of `choices`."""
    if value not in choices:
        *others, last = map(repr, choices)
        raise ValueError(
            f"{type(layer).__name__}: `{name}` must be {', '.join(others)} or "
            f"{last}. Received: {name}={value!r}"
        )
