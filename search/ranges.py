"""What one parameter of a search may be: one value, some, or an interval."""

import dataclasses
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

Value = str | int | float


@dataclasses.dataclass(frozen=True)
class Fixed:
    """One value.

    Args:
        value: The value. `None` leaves the parameter out of the search.
    """

    value: Value | None

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that have to be legal, lest any of the range is not."""
        return () if self.value is None else (self.value,)

    def declare(self, hp: "HyperParameters", name: str) -> None:
        """Adds the parameter to a search of KerasTuner.

        Args:
            hp: The parameters of the search.
            name: Of this one.
        """
        if self.value is not None:
            hp.Fixed(name, self.value)

    def __str__(self) -> str:
        return str(self.value)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several values.

    Args:
        values: The values, the first of which stands where nothing was drawn.
    """

    values: tuple[Value, ...]

    @property
    def ends(self) -> tuple[Value, ...]:
        """As of `Fixed`."""
        return self.values

    def declare(self, hp: "HyperParameters", name: str) -> None:
        """As of `Fixed`."""
        hp.Choice(name, list(self.values))

    def __str__(self) -> str:
        return ",".join(map(str, self.values))


@dataclasses.dataclass(frozen=True)
class Continuous:
    """A number between two others.

    Args:
        low: The least one.
        high: The largest one.
        log: Whether each factor is as probable as another, and not each
            difference: 1e-4 to 1e-3 as 1e-3 to 1e-2.
    """

    low: float
    high: float
    log: bool = False

    @property
    def ends(self) -> tuple[Value, ...]:
        """As of `Fixed`."""
        return self.low, self.high

    @property
    def middle(self) -> float:
        """The value that half of all draws do not reach."""
        if self.log:
            return math.sqrt(self.low * self.high)
        return (self.low + self.high) / 2

    def declare(self, hp: "HyperParameters", name: str) -> None:
        """As of `Fixed`."""
        sampling = "log" if self.log else "linear"
        hp.Float(
            name, self.low, self.high, sampling=sampling, default=self.middle
        )

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"


@dataclasses.dataclass(frozen=True)
class Whole:
    """A whole number between two others.

    Args:
        low: The least one.
        high: The largest one.
        step: Between one and the next.
    """

    low: int
    high: int
    step: int = 1

    @property
    def ends(self) -> tuple[Value, ...]:
        """As of `Fixed`."""
        return self.low, self.high

    def declare(self, hp: "HyperParameters", name: str) -> None:
        """As of `Fixed`."""
        hp.Int(name, self.low, self.high, step=self.step)

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


Range = Fixed | Choice | Continuous | Whole


def among(choices: Range, allowed: Iterable[Any]) -> Range | None:
    """What is left of a range where only some values are possible.

    Args:
        choices: A range of single values.
        allowed: The possible ones.

    Returns: The rest, `None` where it is empty.
    """
    possible = set(allowed)
    left = tuple(value for value in choices.ends if value in possible)
    if not left:
        return None
    return Fixed(left[0]) if len(left) == 1 else Choice(left)
