"""The ranges of a search as data, readable without TensorFlow."""

import dataclasses
import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NoReturn

from dropzoo.search.parameters import PARAMETERS, Parameter
from dropzoo.search.ranges import (
    Choice,
    Continuous,
    Fixed,
    Range,
    Value,
    Whole,
)


def _defaults() -> dict[str, Range]:
    return {name: known.default for name, known in PARAMETERS.items()}


@dataclasses.dataclass(frozen=True)
class SearchSpace(Mapping[str, Range]):
    """What each parameter of a training may be.

    A range is written as what it holds: one value, a list of values, or a
    tuple of the least and the largest one; or, to say more, as `Fixed`,
    `Choice`, `Continuous` or `Whole`. `SearchSpace()` has a range for every
    parameter, and `changed` narrows or widens some of them. Parameters that a
    network has no place for, or that another one's value leaves without
    effect, are left out where that is so; docs/search.md has the table.

    Args:
        ranges: A range for every parameter, by its name. Defaults to the
            ranges that docs/search.md lists.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A parameter is unknown or missing, or a range is empty,
            is upside down, or holds what its parameter cannot be.

    Example:
        >>> space = SearchSpace().changed(
        ...     peak_rate=(1e-4, 1e-2), freeze="all", hidden_units=[0, 64]
        ... )
        >>> space["peak_rate"], space["freeze"]
        (Continuous(low=0.0001, high=0.01, log=True), Fixed(value='all'))
    """

    ranges: Mapping[str, Range] = dataclasses.field(default_factory=_defaults)

    def __post_init__(self) -> None:
        missing = [name for name in PARAMETERS if name not in self.ranges]
        if missing:
            raise ValueError(
                "SearchSpace: `ranges` must have every parameter; `changed` "
                "takes only those that differ. Received: none for "
                f"{', '.join(missing)}"
            )
        for name, given in self.ranges.items():
            _check(name, _parameter(name), given)

    def changed(self, **ranges: Any) -> "SearchSpace":
        """The same space with other ranges for some parameters.

        Args:
            **ranges: By the parameter's name. Two numbers are the ends of an
                interval of factors where the parameter's default is one.

        Raises: As `SearchSpace`.
        """
        changes = {
            name: _as_range(name, _parameter(name), given)
            for name, given in ranges.items()
        }
        return SearchSpace({**self.ranges, **changes})

    def __getitem__(self, name: str) -> Range:
        return self.ranges[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.ranges)

    def __len__(self) -> int:
        return len(self.ranges)


def _parameter(name: str) -> Parameter:
    if name in PARAMETERS:
        return PARAMETERS[name]
    close = difflib.get_close_matches(name, PARAMETERS, n=3, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(f'`{x}`' for x in close)}?"
        if close
        else f"the parameters are {', '.join(PARAMETERS)}."
    )
    raise ValueError(f"SearchSpace: no parameter `{name}`; {hint}")


def _as_range(name: str, parameter: Parameter, given: Any) -> Range:
    """The range that a value, a list of values or a pair of ends stands for."""
    if isinstance(given, Choice):
        return Choice(tuple(given.values))
    if isinstance(given, Range):
        return given
    if not isinstance(given, Collection) or isinstance(given, str):
        return Fixed(given)
    values = tuple(given)
    is_pair = isinstance(given, tuple) and len(values) == 2
    if not is_pair or parameter.kind is str:
        return Choice(values)
    for value in values:
        _check_kind(name, parameter, value)
    low, high = values
    if parameter.kind is int:
        return Whole(low, high)
    return Continuous(float(low), float(high), log=parameter.log)


def _check(name: str, parameter: Parameter, given: Range) -> None:
    """Refuses a range that its parameter cannot have."""
    for value in given.ends:
        _check_kind(name, parameter, value)
        fault = parameter.fault(value)
        if fault:
            _refuse(name, fault, given)
    match given:
        case Fixed(None) if parameter.default != given:
            _refuse(name, "have a value", given)
        case Choice(()):
            _refuse(name, "have at least one value", given)
        case Choice(values) if len(set(values)) < len(values):
            _refuse(name, "have each value once", given)
        case Continuous() | Whole() if parameter.kind is str:
            _refuse(name, "be a name or several, not an interval", given)
        case Continuous(low, high) | Whole(low, high) if not low < high:
            _refuse(name, "begin below its end", given)
        case Whole(step=step) if not step >= 1:
            _refuse(name, f"have a step of at least 1, not {step}", given)
        case Continuous(low, _, log=True) if not low > 0:
            _refuse(
                name,
                "begin above 0 where every factor is as probable as another "
                "(`log=True`)",
                given,
            )
        case Continuous() if parameter.kind is int:
            _refuse(name, "be an interval of whole numbers", given)


def _check_kind(name: str, parameter: Parameter, value: Value) -> None:
    if parameter.is_of_kind(value):
        return
    kinds = {str: "a name", int: "a whole number", float: "a number"}
    raise TypeError(
        f"SearchSpace: `{name}` must be {kinds[parameter.kind]}, several, or "
        f"an interval of numbers. Received: {name}={value!r}"
    )


def _refuse(name: str, rule: str, given: Range) -> NoReturn:
    raise ValueError(
        f"SearchSpace: `{name}` must {rule}. Received: {name}={given}"
    )
