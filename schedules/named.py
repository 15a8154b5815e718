"""Any schedule from its name, a peak rate and a number of steps."""

import difflib
import inspect
from collections.abc import Sequence

from keras.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

from .cyclical_learning_rate import CyclicalLearningRate
from .one_cycle import OneCycle
from .snapshot_cosine import SnapshotCosine
from .step_decay import StepDecay
from .warmup import Warmup


def get(
    name: str, *, peak: float, steps: int, warmup_steps: int = 0, **options
) -> LearningRateSchedule:
    """Builds a schedule whose largest rate is `peak`.

    | name | the rate | options and their defaults |
    |---|---|---|
    | `"cosine"` | falls along half a cosine to 0 | |
    | `"cosine_restarts"` | the same in cycles that double | `cycles=3` |
    | `"snapshot"` | the same in equal cycles | `cycles=5` |
    | `"triangular"` | between `peak / 4` and `peak` | `cycles=5` |
    | `"triangular2"` | the same, peaks halved each time | `cycles=5` |
    | `"exp_range"` | the same, falling to a tenth | `cycles=5` |
    | `"one_cycle"` | rises once, then falls | those of `OneCycle` |
    | `"step"` | drops, after equal parts | `drops=2, factor=0.1` |
    | `"piecewise"` | drops | `shares=(0.5, 0.75), factor=0.1` |
    | `"exponential"` | `peak * exp(-k * t)` | `final_share=0.01` |
    | `"inverse_time"` | `peak / (1 + k * t)` | `final_share=0.01` |
    | `"polynomial"` | falls to 0 | `power=1.0` |

    Args:
        name: Name of the schedule, as in the table.
        peak: Float above 0; the largest rate.
        steps: Number of optimizer steps of the whole training, those of the
            warm-up among them.
        warmup_steps: Number of steps that rise to the schedule's first rate.
            Defaults to 0.
        **options: What the table names. `cycles` must divide the steps,
            twice over where the rate rises and falls.

    Returns: The schedule.

    Raises: ValueError when the name or an option is unknown, or a value is
        outside its range.

    Example:
        >>> schedule = get("one_cycle", peak=0.1, steps=100, warmup_share=0.5)
        >>> round(float(schedule(49)), 3)
        0.1
    """
    build = _find(name)
    _check(name, build, peak, steps, warmup_steps, options)
    schedule = build(float(peak), steps - warmup_steps, **options)
    return Warmup(schedule, warmup_steps) if warmup_steps else schedule


def _find(name: str):
    if name in BUILDERS:
        return BUILDERS[name]
    close = difflib.get_close_matches(name, BUILDERS, n=3, cutoff=0.5)
    raise ValueError(
        f"schedules.get: `name` must be a known schedule. Received: "
        f"name={name!r}; "
        + (
            f"did you mean {' or '.join(map(repr, close))}?"
            if close
            else f"the names are {', '.join(BUILDERS)}."
        )
    )


def _check(name, build, peak, steps, warmup_steps, options) -> None:
    _require(peak > 0, "peak", "above 0", peak)
    _require(steps >= 1, "steps", "at least 1", steps)
    if not 0 <= warmup_steps < steps:
        raise ValueError(
            "schedules.get: `warmup_steps` must be at least 0 and below "
            f"`steps`. Received: warmup_steps={warmup_steps!r}, steps={steps!r}"
        )
    known = list(inspect.signature(build).parameters)[2:]
    for option in options:
        if option not in known:
            has = f"has {', '.join(known)}" if known else "has none"
            raise ValueError(
                f"schedules.get: `{option}` must be an option of {name!r}, "
                f"which {has}. Received: {option}={options[option]!r}"
            )


def _cosine(peak, steps) -> LearningRateSchedule:
    return CosineDecay(peak, steps)


def _cosine_restarts(peak, steps, cycles=3) -> LearningRateSchedule:
    _check_division("cosine_restarts", steps, cycles, 2**cycles - 1)
    return CosineDecayRestarts(peak, steps // (2**cycles - 1), t_mul=2.0)


def _snapshot(peak, steps, cycles=5) -> LearningRateSchedule:
    return SnapshotCosine(peak, steps, cycles)


def _cyclical(mode):
    def build(peak, steps, cycles=5) -> LearningRateSchedule:
        _check_division(mode, steps, cycles, 2 * cycles)
        return CyclicalLearningRate(
            peak / 4,
            peak,
            steps // (2 * cycles),
            mode=mode,
            gamma=0.1 ** (1 / steps) if mode == "exp_range" else None,
        )

    return build


def _one_cycle(
    peak,
    steps,
    shape="torch",
    warmup_share=None,
    initial_divisor=25.0,
    final_divisor=None,
) -> LearningRateSchedule:
    return OneCycle(
        peak,
        steps,
        shape=shape,
        warmup_share=warmup_share,
        initial_divisor=initial_divisor,
        final_divisor=final_divisor,
    )


def _step(peak, steps, drops=2, factor=0.1) -> LearningRateSchedule:
    _require(drops >= 0, "drops", "at least 0", drops)
    length = -(-steps // (drops + 1))  # the last part may be shorter
    return StepDecay(peak, 1, length, factor=factor)


def _piecewise(
    peak, steps, shares: Sequence[float] = (0.5, 0.75), factor=0.1
) -> LearningRateSchedule:
    _require(
        all(0 < share < 1 for share in shares), "shares", "in (0, 1)", shares
    )
    # Keras still has the old value at the boundary itself.
    boundaries = [round(share * steps) - 1 for share in shares]
    values = [peak * factor**drops for drops in range(len(shares) + 1)]
    return PiecewiseConstantDecay(boundaries, values)


def _exponential(peak, steps, final_share=0.01) -> LearningRateSchedule:
    _require(0 < final_share <= 1, "final_share", "in (0, 1]", final_share)
    return ExponentialDecay(peak, steps, final_share)


def _inverse_time(peak, steps, final_share=0.01) -> LearningRateSchedule:
    _require(0 < final_share <= 1, "final_share", "in (0, 1]", final_share)
    return InverseTimeDecay(peak, steps, 1 / final_share - 1)


def _polynomial(peak, steps, power=1.0) -> LearningRateSchedule:
    return PolynomialDecay(peak, steps, end_learning_rate=0.0, power=power)


def _check_division(name: str, steps: int, cycles: int, parts: int) -> None:
    _require(cycles >= 1, "cycles", "at least 1", cycles)
    if steps < parts or steps % parts:
        below = steps // parts * parts
        near = [n for n in (below, below + parts) if n]
        raise ValueError(
            f"schedules.get: `steps` less the warm-up must be a multiple of "
            f"{parts} for {cycles} cycles of {name!r}. Received: {steps} "
            f"steps; take {' or '.join(map(str, near))}."
        )


def _require(holds: bool, name: str, rule: str, value: object) -> None:
    if not holds:
        raise ValueError(
            f"schedules.get: `{name}` must be {rule}. Received: {name}={value}"
        )


BUILDERS = {
    "cosine": _cosine,
    "cosine_restarts": _cosine_restarts,
    "snapshot": _snapshot,
    "triangular": _cyclical("triangular"),
    "triangular2": _cyclical("triangular2"),
    "exp_range": _cyclical("exp_range"),
    "one_cycle": _one_cycle,
    "step": _step,
    "piecewise": _piecewise,
    "exponential": _exponential,
    "inverse_time": _inverse_time,
    "polynomial": _polynomial,
}
