"""What a search varied: its parameters with their ranges and scales."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Value = bool | int | float | str


@dataclass(frozen=True)
class TunedParameter:
    """A parameter of a search.

    Attributes:
        name: As in KerasTuner, such as `learning_rate`.
        ends: Lower and upper end of its range; `None` where it has choices.
        log: Whether it was drawn from the logarithms of the range.
        choices: Its values, where it has no range.
    """

    name: str
    ends: tuple[float, float] | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()

    @property
    def varies(self) -> bool:
        """Whether there is more than one value to take."""
        if self.ends is None:
            return len(self.choices) > 1
        return self.ends[0] < self.ends[1]


def parameters_of(
    space: Iterable[Mapping[str, Any]],
) -> tuple[TunedParameter, ...]:
    """Reads a space as KerasTuner writes it into its files.

    A name that is there several times, under several conditions, is one
    parameter whose range covers them all.

    Args:
        space: The entries of a space, each with `class_name` and `config`.

    Returns: The parameters in their order.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Float("rate", 1e-5, 1e-1, sampling="log")
        >>> parameters_of(hp.get_config()["space"])
        (TunedParameter(name='rate', ends=(1e-05, 0.1), log=True, choices=()),)
    """
    found: dict[str, TunedParameter] = {}
    for entry in space:
        new = _parameter(entry["class_name"], entry["config"])
        known = found.get(new.name)
        found[new.name] = joined(known, new) if known else new
    return tuple(found.values())


def _parameter(kind: str, config: Mapping[str, Any]) -> TunedParameter:
    name = config["name"]
    if kind in ("Float", "Int"):
        ends = (config["min_value"], config["max_value"])
        return TunedParameter(name, ends, config["sampling"] == "log")
    if kind == "Boolean":
        return TunedParameter(name, choices=(False, True))
    fixed = (config["value"],) if kind == "Fixed" else ()
    return TunedParameter(name, choices=fixed or tuple(config["values"]))


def joined(one: TunedParameter, other: TunedParameter) -> TunedParameter:
    """Makes a parameter that covers two of one name.

    Args:
        one: The first, whose choices come first.
        other: The second.
    """
    ranges = [parameter for parameter in (one, other) if parameter.ends]
    values = [*(one.ends or one.choices), *(other.ends or other.choices)]
    numbers = [v for v in values if isinstance(v, (int, float))]
    if ranges and len(numbers) == len(values):
        log = all(parameter.log for parameter in ranges)
        return TunedParameter(one.name, (min(numbers), max(numbers)), log)
    choices = tuple(dict.fromkeys(one.choices + other.choices))
    return TunedParameter(one.name, choices=choices)
