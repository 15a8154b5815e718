"""The rules by which the curves of a training are read.

The first rule that applies decides. Their numbers have no scale, see
`CurveShape`; they were chosen on the tuning set of
benchmarks/curve_diagnosis.py and tested on trainings of other networks.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import keras

from dropzoo.callbacks.curve_shape import CurveShape
from dropzoo.callbacks.loss_curve import LossCurve


@dataclasses.dataclass(frozen=True)
class CurveFinding:
    """What the curves of a training show.

    Args:
        fault: `"healthy"`, `"rate too high"`, `"rate too low"`,
            `"diverging"`, `"bad initialisation"`, `"overfitting"`,
            `"underfitting"` or `"plateau"`.
        evidence: The numbers that show it, in words.
        suggestion: What to do.
    """

    fault: str
    evidence: str
    suggestion: str

    @property
    def sentence(self) -> str:
        """Everything in a sentence."""
        return f"{self.fault}: {self.evidence}; {self.suggestion}."


def diagnose(
    history: keras.callbacks.History | Mapping | str | Path | LossCurve,
) -> CurveFinding:
    """Says what is wrong with a training, from its losses.

    Without the losses of parts of the epochs, which `CurveDiagnosis` notes,
    what happens in the first epoch is not seen.

    Args:
        history: What `fit` returns, its dictionary, the path of a CSV file
            such as `history.csv` of a run, or a `LossCurve`.

    Returns: The most important fault, or that there is none.

    Raises: ValueError when there is no loss in the history.

    Example:
        >>> losses = {"loss": [2.3, 1, 0.5, 0.2], "val_loss": [2, 1.5, 2, 2.5]}
        >>> diagnose(losses).fault
        'overfitting'
    """
    shape = CurveShape(LossCurve.of(history))
    for fault, rule, suggestion in RULES:
        evidence = rule(shape)
        if evidence:
            return CurveFinding(fault, evidence, suggestion)
    evidence = f"the training loss ends at {shape.level:.1%} of chance"
    return CurveFinding("healthy", evidence, "nothing seems wrong")


def _starts_too_high(shape: CurveShape) -> str | None:
    """The weights are so large that the first loss is far above chance."""
    if shape.excess < 6:
        return None
    return f"the first loss is {shape.excess:.3g} times that of chance"


def _diverges(shape: CurveShape) -> str | None:
    """The loss ends far above where it began, or is lost."""
    if not shape.is_finite:
        return "the loss is not finite in the end"
    if shape.level > 3:
        return f"the loss ends at {shape.level:.3g} times that of chance"
    return None


def _overfits(shape: CurveShape) -> str | None:
    """The training loss vanishes, the validation loss does not."""
    if shape.gap < 0.25 or shape.level > 0.25:
        return None
    return (
        f"the training loss ends at {shape.end:.3g}, the validation loss at "
        f"{shape.val_end:.3g}"
    )


def _is_held_back(shape: CurveShape) -> str | None:
    """Dropout is so strong that training is worse than validation."""
    if shape.gap > -0.08 or shape.level < 0.1:
        return None
    return (
        f"the training loss ends at {shape.end:.3g}, above the validation "
        f"loss at {shape.val_end:.3g}"
    )


def _jumps(shape: CurveShape) -> str | None:
    """Steps that are too long lead away from what was reached."""
    if shape.bounce < 0.12 and shape.spike < 0.5:
        return None
    return (
        f"the loss rises again and again, by {shape.bounce:.0%} of the loss "
        f"of chance from epoch to epoch and {shape.spike:.0%} within"
    )


def _is_flat_first(shape: CurveShape) -> str | None:
    """Small weights pass on next to nothing, until they have grown."""
    flat, half = shape.time_of(0.1), shape.time_of(0.5)
    # Outputs that are all alike give ln C and are a sign of their own.
    alike = shape.knows_chance and abs(shape.excess - 1) < 0.01
    least, share = (0.035, 0.35) if alike else (0.045, 0.6)
    if shape.level > 0.8 or flat < least or flat < share * half:
        return None
    return (
        f"the loss is flat for {flat:.0%} of the time, and has then lost half "
        f"of its fall at {half:.0%}"
    )


def _stops_short(shape: CurveShape) -> str | None:
    """It learned at full speed, and then not at all."""
    stop = shape.time_of(0.95)
    if shape.is_short or not 0.15 < shape.level < 0.85:
        return None
    if stop > 0.25 or shape.wiggle > 0.002:
        return None
    return (
        f"after {stop:.0%} of the time the loss hardly moves, with "
        f"{shape.level:.0%} of that of chance left"
    )


def _still_falls(shape: CurveShape) -> str | None:
    """Far from the ground, and as fast in the end as before."""
    least = 0.065 if shape.level < 0.85 else 0.03
    if shape.is_short or shape.level < 0.2 or shape.late_fall < least:
        return None
    return (
        f"{shape.late_fall:.0%} of the fall came in the last quarter, and "
        f"{shape.level:.0%} of the loss of chance is left"
    )


def _stays_high(shape: CurveShape) -> str | None:
    """It has learned what it can, and that is not enough."""
    if shape.is_short or shape.level < 0.3:
        return None
    return f"the training loss stays at {shape.level:.0%} of that of chance"


Rule = Callable[[CurveShape], str | None]
RULES: tuple[tuple[str, Rule, str], ...] = (
    (
        "bad initialisation",
        _starts_too_high,
        "begin with smaller weights, such as he_normal, and scale the input",
    ),
    (
        "diverging",
        _diverges,
        "lower the rate tenfold, and look for wild values in the data",
    ),
    (
        "overfitting",
        _overfits,
        "use more data or augmentation, a smaller network or more dropout",
    ),
    (
        "underfitting",
        _is_held_back,
        "use less dropout and augmentation",
    ),
    ("rate too high", _jumps, "lower the rate 3 to 10 times"),
    (
        "bad initialisation",
        _is_flat_first,
        "begin with larger weights, such as he_normal, or normalise batches",
    ),
    (
        "plateau",
        _stops_short,
        "see whether the rate has become too small, or lower it later",
    ),
    (
        "rate too low",
        _still_falls,
        "raise the rate 3 to 10 times, or train longer",
    ),
    (
        "underfitting",
        _stays_high,
        "use a larger network, or less dropout and weight decay",
    ),
)
