"""An axis for the values of one parameter, whatever its kind."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dropzoo.evaluation.report_numbers import plain
from dropzoo.evaluation.report_plot import ticks

from .trial_record import TrialRecord
from .tuned_parameter import TunedParameter, Value

ABSENT = "\N{EN DASH}"
ROOM_FOR_ABSENT = 0.14  # of the axis, where trials lack the parameter
MOST_DECADES = 5
LONGEST_TEXT = 20


@dataclass(frozen=True)
class ParameterAxis:
    """Places values of a parameter between 0 and 1.

    Ranges stand on their own scale, choices side by side. Trials that lack
    the parameter, because a condition was not met, stand at 0, apart.

    Attributes:
        parameter: The parameter, with the range and the choices to show.
        has_absent: Whether there is a place for trials that lack it.
    """

    parameter: TunedParameter
    has_absent: bool = False

    def place(self, value: Value | None, spread: float = 0.0) -> float:
        """Returns where a value stands, in [0, 1].

        Args:
            value: The value; `None` where the trial lacks the parameter.
            spread: From -1 to 1, how far to step aside, so that trials of
                one choice are told apart. Defaults to 0.
        """
        if value is None:
            return 0.02 * (1 + spread)
        start = ROOM_FOR_ABSENT if self.has_absent else 0.0
        return start + (1 - start) * self._share(value, spread)

    def ticks(self) -> list[tuple[float, str]]:
        """Returns the places that have a name, from low to high."""
        named = [(self.place(value), short(value)) for value in self._named()]
        return (
            [(self.place(None), ABSENT), *named] if self.has_absent else named
        )

    def _share(self, value: Value, spread: float) -> float:
        known = self.parameter
        if known.ends is None:
            position = known.choices.index(value)
            return (position + 0.5 + 0.3 * spread) / len(known.choices)
        low, high = map(self._scaled, known.ends)
        share = (self._scaled(value) - low) / (high - low)
        return min(max(share, 0.0), 1.0)

    def _scaled(self, value: Value) -> float:
        return math.log(float(value)) if self.parameter.log else float(value)

    def _named(self) -> Sequence[Value]:
        ends = self.parameter.ends
        if ends is None:
            return self.parameter.choices
        if self.parameter.log:
            return _decades(ends)
        return ticks(ends, integer=all(isinstance(end, int) for end in ends))


def axis_of(
    parameter: TunedParameter, trials: Iterable[TrialRecord]
) -> ParameterAxis:
    """Makes an axis that has a place for every trial.

    Args:
        parameter: What was varied.
        trials: The trials to place.
    """
    name = parameter.name
    values = [trial.values.get(name) for trial in trials]
    seen = [value for value in values if value is not None]
    if parameter.ends is None:
        choices = tuple(dict.fromkeys((*parameter.choices, *seen)))
        shown = replace(parameter, choices=choices)
    else:
        reached = (*parameter.ends, *seen)
        shown = replace(parameter, ends=(min(reached), max(reached)))
    return ParameterAxis(shown, len(seen) < len(values))


def short(value: Value, longest: int = LONGEST_TEXT) -> str:
    """Writes a value so that it fits beside an axis.

    Args:
        value: The value, or the name of a parameter.
        longest: Number of letters beyond which the rest is cut off.
    """
    text = plain(value)
    if len(text) <= longest:
        return text
    return text[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _decades(ends: tuple[float, float]) -> list[float]:
    """Chooses powers of ten, or round numbers where there are too few."""
    low, high = ends
    first = math.ceil(math.log10(low) - 1e-9)
    last = math.floor(math.log10(high) + 1e-9)
    if last - first >= 2:
        step = math.ceil((last - first + 1) / (MOST_DECADES + 1))
        return [10.0**power for power in range(first, last + 1, step)]
    rounded = [
        factor * 10.0**power
        for power in range(first - 1, last + 1)
        for factor in (1, 2, 5)
    ]
    within = [x for x in rounded if low * (1 - 1e-9) <= x <= high * (1 + 1e-9)]
    return within if len(within) > 1 else [low, high]
