"""How often CurveDiagnosis is right about trainings with a known fault.

    python benchmarks/curve_diagnosis.py                 # the held-out part
    python benchmarks/curve_diagnosis.py --leave-out     # each other part

The trainings are those of benchmarks/curve_trainings.py. The first four parts
chose the rules of callbacks/curve_faults.py and their numbers; the held-out
part was read once, when they were final. Each earlier held-out part had been
meant for that: the rules that the parts before it had chosen were wrong about
too many of its trainings.

`--leave-out` chooses the numbers anew on three of the four parts and reads the
other one with them. Each number in turn gets the value with the fewest
mistakes, the middle one where several have; a false alarm counts as three. The
three rounds begin with numbers between half and twice those of the kit, by
chance.
"""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from dropzoo.callbacks.curve_faults import CurveLimits, diagnose, find_fault
from dropzoo.callbacks.curve_shape import CurveShape
from dropzoo.callbacks.loss_curve import LossCurve

CURVES = Path(__file__).parents[1] / "tests" / "callbacks" / "curves"
FAULTS = (
    "healthy",
    "rate too high",
    "rate too low",
    "diverging",
    "bad initialisation",
    "overfitting",
    "underfitting",
    "plateau",
)
HEADS = ("none", "high", "low", "diverges", "init", "over", "under", "plateau")
TUNING = ("tuning", "first_held_out", "second_held_out", "third_held_out")
Part = Literal[
    "tuning", "first_held_out", "second_held_out", "third_held_out", "held_out"
]
STARTS, ROUNDS = 5, 3
Shapes = list[tuple[str, CurveShape]]


def read(part: str) -> list[tuple[str, str, LossCurve]]:
    """Truth, name and curve of each training of a part."""
    numbers = [field.name for field in dataclasses.fields(LossCurve)]
    return [
        (
            entry["truth"],
            entry["name"],
            LossCurve(**{x: with_nan(entry[x]) for x in numbers if x in entry}),
        )
        for entry in json.loads((CURVES / f"{part}.json").read_text())
    ]


def with_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [math.nan if x is None else x for x in value]
    return value


def table(part: str) -> str:
    """What was found for what was wrong."""
    curves = read(part)
    found = Counter(
        (truth, diagnose(curve).fault) for truth, _, curve in curves
    )
    faulty = sum(truth != "healthy" for truth, _, _ in curves)
    right = sum(found[fault, fault] for fault in FAULTS[1:])
    healthy = len(curves) - faulty
    alarms = healthy - found["healthy", "healthy"]
    heads = "".join(f"{head:>9}" for head in HEADS)
    rows = (
        f"{truth:20}"
        + "".join(f"{found[truth, fault] or '.':>9}" for fault in FAULTS)
        for truth in FAULTS
    )
    return "\n".join(
        (
            f"{part + ': found':20}{heads}",
            *rows,
            f"Right: {right} of {faulty} faulty ({right / faulty:.1%}).",
            f"False alarms: {alarms} of {healthy} healthy.",
        )
    )


def show(part: str) -> None:
    """Prints the table and each mistake."""
    print(table(part))
    for truth, name, curve in read(part):
        if diagnose(curve).fault != truth:
            print(f"{truth} ({name}), found {diagnose(curve).sentence}")


def shapes(part: str) -> Shapes:
    return [(truth, CurveShape(curve)) for truth, _, curve in read(part)]


def mistakes(known: Shapes, limits: CurveLimits) -> tuple[int, int]:
    """Faults not found or not rightly, and false alarms."""
    wrong = Counter(
        truth == "healthy"
        for truth, shape in known
        if find_fault(shape, limits).fault != truth
    )
    return wrong[False], wrong[True]


def choose_limits(known: Shapes, rng: np.random.Generator) -> CurveLimits:
    """The numbers with the fewest mistakes, one after another."""
    usual = dataclasses.asdict(CurveLimits())
    limits = CurveLimits(
        **{name: x * 2 ** rng.uniform(-1, 1) for name, x in usual.items()}
    )
    for name in [*usual] * ROUNDS:
        tried = [
            dataclasses.replace(limits, **{name: usual[name] * factor})
            for factor in 2 ** np.linspace(-1.5, 1.5, 25)
        ]
        costs = [
            missed + 3 * alarms
            for missed, alarms in (mistakes(known, x) for x in tried)
        ]
        best = np.flatnonzero(np.equal(costs, min(costs)))
        limits = tried[best[len(best) // 2]]
    return limits


def leave_out() -> None:
    """Prints how often numbers are right that other parts have chosen."""
    known = {part: shapes(part) for part in TUNING}
    for part, own in known.items():
        others = [x for name in TUNING if name != part for x in known[name]]
        rng = np.random.default_rng(0)
        found = [
            mistakes(own, choose_limits(others, rng)) for _ in range(STARTS)
        ]
        healthy = sum(truth == "healthy" for truth, _ in own)
        faulty = len(own) - healthy
        right = [faulty - missed for missed, _ in found]
        print(
            f"{part}: right {spread(right)} of {faulty} faulty, false alarms "
            f"{spread([alarms for _, alarms in found])} of {healthy} healthy"
        )


def spread(values: Sequence[int]) -> str:
    return f"{np.mean(values):.1f} ({min(values)} to {max(values)})"


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the program."""

    show: Part = "held_out"
    """Part whose table is printed."""
    leave_out: bool = False
    """Whether to choose the numbers anew without each part, and test on it."""


def main(config: Config) -> None:
    if config.leave_out:
        leave_out()
    else:
        show(config.show)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
