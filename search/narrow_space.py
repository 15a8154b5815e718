"""The second look of a coarse-to-fine search: ranges around the best trials.

Every range is shrunk to what the best quarter of the trials used, and to the
gaps beside that in which nothing was tried. A parameter that does not matter
is spread over its whole range there, too: from n uniform draws with extremes a
and b, the unbiased estimate of the range is
[a - (b - a) / (n - 1), b + (b - a) / (n - 1)], and so it keeps its range. One
that matters is bunched, and its range shrinks.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from keras_tuner import HyperParameters
    from keras_tuner.engine.hyperparameters import HyperParameter

Values: TypeAlias = dict[str, Any]

BEST_SHARE = 0.25
FEWEST = 3  # trials that may say where the best are
EDGE = 0.05  # of a range: the best value this close to its end lies at it
WIDENING = 0.25  # of a range: how far the next one then goes beyond that end


class Span(NamedTuple):
    """A range, in logarithms where the parameter is sampled so."""

    low: float
    high: float


def narrow_space(
    space: "HyperParameters", around: "HyperParameters", ranked: list[Values]
) -> "HyperParameters":
    """Shrinks a space to where the best trials were, and widens it at an edge.

    Where the best value of all lies at an end of its range, the new range goes
    beyond that end: a range on a logarithmic scale beyond what was declared,
    too, as it is a guess of magnitudes; any other up to what was declared, as
    no share may exceed 1. A choice keeps the values that the best trials
    used, and a condition that none of them met is dropped.

    Args:
        space: As declared.
        around: As the trials sampled it.
        ranked: What the trials tried, best first.

    Returns: The space of the next stage.

    Raises: ValueError when there is no trial.

    Example:
        >>> import keras_tuner
        >>> space = keras_tuner.HyperParameters()
        >>> _ = space.Float("rate", 1e-6, 1.0, sampling="log")
        >>> tried = [{"rate": 10.0 ** -k} for k in (2, 3, 4, 1, 5, 0, 6)]
        >>> (rate,) = narrow_space(space, space, tried).space
        >>> f"{rate.min_value:.2g} to {rate.max_value:.2g}"
        '1e-05 to 0.1'
    """
    from keras_tuner import HyperParameters

    if not ranked:
        raise ValueError(
            "narrow_space: `ranked` must hold at least one trial with a "
            "score, around which to look. Received: ranked=[]"
        )
    count = max(FEWEST, math.ceil(BEST_SHARE * len(ranked)))
    best, others = ranked[:count], ranked[count:]
    narrowed = HyperParameters()
    declared = {_key(x): x for x in space.space}
    for parameter in around.space:
        tried = _values_of(parameter, best)
        if tried:
            found = _Found(
                declared[_key(parameter)],
                parameter,
                tried,
                _values_of(parameter, others),
                (_values_of(parameter, best[:1]) or [None])[0],
            )
            narrowed.merge([_narrow(found)])
    return narrowed


def estimate_range(values: Sequence[float]) -> Span:
    """The range that some values would be uniform draws from.

    Args:
        values: At least two.

    Returns: The unbiased estimate above.

    Example:
        >>> estimate_range([2.0, 4.0, 3.0])
        Span(low=1.0, high=5.0)
    """
    low, high = min(values), max(values)
    margin = (high - low) / (len(values) - 1)
    return Span(low - margin, high + margin)


def span_around(
    span: Span, best: Sequence[float], worse: Sequence[float], top: float
) -> Span:
    """The range to look at next.

    It reaches to the nearest values that were tried and are worse, for the
    best of all may lie in any gap before these.

    Args:
        span: In which all were drawn.
        best: The values of the best trials, at least one.
        worse: Those of the others.
        top: That of the very best trial, or `nan`.

    Returns: A range within `span` but where `top` lies at its edge.

    Example:
        >>> span_around(Span(0, 16), [6, 7, 8], [2, 11], 7)
        Span(low=2, high=11)
        >>> span_around(Span(0, 16), [12, 14, 16], [9], 16)
        Span(low=9, high=20.0)
    """
    low, high = estimate_range(best) if len(best) > 1 else span
    low = min(low, max((x for x in worse if x < min(best)), default=span.low))
    high = max(
        high, min((x for x in worse if x > max(best)), default=span.high)
    )
    low, high = max(low, span.low), min(high, span.high)
    width = span.high - span.low
    if top - span.low <= EDGE * width:
        low = span.low - WIDENING * width
    if span.high - top <= EDGE * width:
        high = span.high + WIDENING * width
    return Span(low, high)


class _Found(NamedTuple):
    """What the trials tell of a parameter.

    Args:
        declared: With the limits that it was declared with.
        parameter: As it was sampled.
        best: Its values in the best trials.
        worse: Its values in the others.
        top: Its value in the very best trial, if it was met there.
    """

    declared: Any
    parameter: Any
    best: list[Any]
    worse: list[Any]
    top: Any


def _narrow(found: _Found) -> "HyperParameter":
    config = found.parameter.get_config()
    if "min_value" in config:
        config |= _narrow_range(found)
    elif "values" in config:
        config["values"] = [v for v in config["values"] if v in found.best]
        config["default"] = found.best[0]
    elif len(set(found.best)) == 1 and "value" not in config:
        return _fixed(found.parameter, found.best[0])
    return type(found.parameter).from_config(config)


def _narrow_range(found: _Found) -> dict[str, float]:
    """The new limits of a number, and a default within them."""
    declared, parameter = found.declared, found.parameter
    is_log = parameter.sampling == "log"
    scale = math.log if is_log else float
    back = math.exp if is_log else float
    limits = Span(scale(declared.min_value), scale(declared.max_value))
    span = span_around(
        Span(scale(parameter.min_value), scale(parameter.max_value)),
        [scale(value) for value in found.best],
        [scale(value) for value in found.worse],
        math.nan if found.top is None else scale(found.top),
    )
    is_whole = isinstance(parameter.min_value, int)
    if not is_log or is_whole or parameter.step is not None:
        span = Span(max(span.low, limits.low), min(span.high, limits.high))
    if parameter.step is not None:
        span = _whole_steps(span, limits, scale(parameter.step))
    low, high = back(span.low), back(span.high)
    if is_whole:  # rounding errors of the logarithm are no step further
        low, high = math.floor(low + 1e-6), math.ceil(high - 1e-6)
    return {"min_value": low, "max_value": high, "default": found.best[0]}


def _whole_steps(span: Span, limits: Span, step: float) -> Span:
    """The span, outwards to values that can be met, counted from the lowest."""
    first = math.floor((span.low - limits.low) / step + 1e-9)
    last = math.ceil((span.high - limits.low) / step - 1e-9)
    most = math.floor((limits.high - limits.low) / step + 1e-9)
    return Span(limits.low + step * first, limits.low + step * min(last, most))


def _fixed(parameter: "HyperParameter", value: Any) -> "HyperParameter":
    from keras_tuner.engine.hyperparameters import Fixed

    return Fixed(parameter.name, value, conditions=parameter.conditions)


def _values_of(parameter: "HyperParameter", trials: list[Values]) -> list[Any]:
    """Its values in those trials that met its conditions."""
    return [
        x[parameter.name]
        for x in trials
        if parameter.name in x
        and all(c.is_active(x) for c in parameter.conditions)
    ]


def _key(parameter: "HyperParameter") -> tuple[str, str]:
    """A name can stand under several conditions, with a range under each."""
    conditions = [x.get_config() for x in parameter.conditions]
    return parameter.name, str(conditions)
