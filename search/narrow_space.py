"""The second look of a coarse-to-fine search: ranges around the best trials.

Every range is shrunk to what the best quarter of the trials used. A parameter
that does not matter is spread over its whole range there, too: from n uniform
draws with extremes a and b, the unbiased estimate of the range is
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
        >>> narrow_space(space, space, tried).space
        [Float(name: 'rate', min_value: '1e-05', max_value: '0.1', ...]
    """
    from keras_tuner import HyperParameters

    if not ranked:
        raise ValueError(
            "narrow_space: `ranked` must hold at least one trial with a "
            "score, around which to look. Received: ranked=[]"
        )
    best = ranked[: max(FEWEST, math.ceil(BEST_SHARE * len(ranked)))]
    narrowed = HyperParameters()
    declared = {_key(x): x for x in space.space}
    for parameter in around.space:
        used = [x for x in best if _is_active(parameter, x)]
        if used:
            tried = [x[parameter.name] for x in used]
            at_best = tried[0] if used[0] is best[0] else None
            new = _narrow(declared[_key(parameter)], parameter, tried, at_best)
            narrowed.merge([new])
    return narrowed


def widen_span(span: Span, tried: Sequence[float], at_best: float) -> Span:
    """The range that some of the best values of a parameter speak for.

    Args:
        span: In which they were drawn.
        tried: The values, at least one.
        at_best: That of the best trial, which may be `nan`.

    Returns: The estimate above, within `span` but where the best lies at its
        edge.

    Example:
        >>> widen_span(Span(0.0, 1.0), [0.4, 0.5, 0.6], 0.5)
        Span(low=0.30..., high=0.7...)
        >>> widen_span(Span(0.0, 1.0), [0.6, 0.8, 1.0], 1.0)
        Span(low=0.39..., high=1.25)
    """
    low, high = min(tried), max(tried)
    if len(tried) > 1:
        margin = (high - low) / (len(tried) - 1)
        low, high = max(span.low, low - margin), min(span.high, high + margin)
    else:
        low, high = span
    width = span.high - span.low
    if at_best - span.low <= EDGE * width:
        low = span.low - WIDENING * width
    if span.high - at_best <= EDGE * width:
        high = span.high + WIDENING * width
    return Span(low, high)


def _narrow(
    declared: "HyperParameter",
    parameter: "HyperParameter",
    tried: list[Any],
    at_best: Any,
) -> "HyperParameter":
    config = parameter.get_config()
    if "min_value" in config:
        config |= _narrow_range(declared, parameter, tried, at_best)
    elif "values" in config:
        config["values"] = [v for v in config["values"] if v in tried]
        config["default"] = tried[0]
    elif len(set(tried)) == 1 and "value" not in config:
        return _fixed(parameter, tried[0])
    return type(parameter).from_config(config)


def _narrow_range(
    declared: Any, parameter: Any, tried: list[float], at_best: float | None
) -> dict[str, float]:
    """The new limits of a number, and a default within them."""
    is_log = parameter.sampling == "log"
    scale = math.log if is_log else float
    back = math.exp if is_log else float
    limits = Span(scale(declared.min_value), scale(declared.max_value))
    span = widen_span(
        Span(scale(parameter.min_value), scale(parameter.max_value)),
        [scale(value) for value in tried],
        math.nan if at_best is None else scale(at_best),
    )
    is_whole = isinstance(parameter.min_value, int)
    if not is_log or is_whole or parameter.step is not None:
        span = Span(max(span.low, limits.low), min(span.high, limits.high))
    if parameter.step is not None:
        span = _whole_steps(span, limits, scale(parameter.step))
    low, high = back(span.low), back(span.high)
    if is_whole:  # rounding errors of the logarithm are no step further
        low, high = math.floor(low + 1e-6), math.ceil(high - 1e-6)
    return {"min_value": low, "max_value": high, "default": tried[0]}


def _whole_steps(span: Span, limits: Span, step: float) -> Span:
    """The span, outwards to values that can be met, counted from the lowest."""
    first = math.floor((span.low - limits.low) / step + 1e-9)
    last = math.ceil((span.high - limits.low) / step - 1e-9)
    most = math.floor((limits.high - limits.low) / step + 1e-9)
    return Span(limits.low + step * first, limits.low + step * min(last, most))


def _fixed(parameter: "HyperParameter", value: Any) -> "HyperParameter":
    from keras_tuner.engine.hyperparameters import Fixed

    return Fixed(parameter.name, value, conditions=parameter.conditions)


def _is_active(parameter: "HyperParameter", values: Values) -> bool:
    return parameter.name in values and all(
        condition.is_active(values) for condition in parameter.conditions
    )


def _key(parameter: "HyperParameter") -> tuple[str, str]:
    """A name can stand under several conditions, with a range under each."""
    conditions = [x.get_config() for x in parameter.conditions]
    return parameter.name, str(conditions)
