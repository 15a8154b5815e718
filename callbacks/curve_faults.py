"""The rules by which the curves of a training are read.

The first rule that applies decides. Their numbers have no scale, see
`CurveShape`; they were chosen on trainings of benchmarks/curve_trainings.py and
tested on those of other networks, see benchmarks/curve_diagnosis.py.
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


@dataclasses.dataclass(frozen=True)
class CurveLimits:
    """The numbers of the rules, in the units of `CurveShape`.

    Args:
        excess: First losses above this are those of large weights.
        far_above: Last losses above this have diverged.
        penalty_share: Share of the penalty in the fall of the loss, from which
            the training did little else.
        gap: How far above the training loss the validation loss shows that
            the examples were learned by heart.
        vanished: Training losses below this have vanished.
        calm: Most rises in the second half of a loss that is calm by then.
        held_gap: How far below the training loss the validation loss shows
            that training is made hard.
        held_level: Training losses above this can be held back.
        bounce: Rises from epoch to epoch of steps that are too long.
        spike: Their highest rise above an earlier loss.
        made_up: Losses below this have made up for it.
        nothing: Losses above this are of who knows nothing.
        rest: What steps move dead weights by, as a share of the first steps.
        flat: Shortest flat start, where chance is not known.
        flat_share: Its share of the time to half of the fall.
        flat_alike: Shortest flat start of outputs that are all alike.
        flat_share_alike: Its share of the time to half of the fall.
        growth: What a step moves weights by that were far too small.
        done: Plateaus below this are the ground.
        begun: Losses above this have hardly begun to fall.
        stop: Latest end of a fall that stops short.
        wiggle: Most bend of a loss that has stopped.
        ground: Losses below this have little left to fall.
        pace: What a short step moves the weights by, as a share of them.
        straight: Cosine between the moves of weights that do not turn.
        late_fall: Share of the last quarter in a fall that goes on.
        steep_fall: The same where it is not known how the weights move.
        high: Losses above this are not enough.
        by_heart: How far above the training loss the validation loss shows, as
            a share of it, that the network is large enough.
    """

    excess: float = 4.5
    far_above: float = 3
    penalty_share: float = 0.5
    gap: float = 0.28
    vanished: float = 0.1
    calm: float = 0.12
    held_gap: float = 0.1
    held_level: float = 0.1
    bounce: float = 0.2
    spike: float = 0.5
    made_up: float = 0.05
    nothing: float = 0.98
    rest: float = 0.05
    flat: float = 0.045
    flat_share: float = 0.6
    flat_alike: float = 0.03
    flat_share_alike: float = 0.25
    growth: float = 0.3
    done: float = 0.15
    begun: float = 0.9
    stop: float = 0.3
    wiggle: float = 0.003
    ground: float = 0.2
    pace: float = 0.001
    straight: float = 0.7
    late_fall: float = 0.02
    steep_fall: float = 0.065
    high: float = 0.22
    by_heart: float = 0.25


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
    return find_fault(CurveShape(LossCurve.of(history)))


def find_fault(
    shape: CurveShape, limits: CurveLimits | None = None
) -> CurveFinding:
    """Applies the rules, the first that fits decides.

    Args:
        shape: What is measured of a curve.
        limits: The numbers of the rules; None takes those of the kit.
    """
    limits = limits or CurveLimits()
    for fault, rule, suggestion in RULES:
        evidence = rule(shape, limits)
        if evidence:
            return CurveFinding(fault, evidence, suggestion)
    evidence = f"the training loss ends at {shape.level:.1%} of chance"
    return CurveFinding("healthy", evidence, "nothing seems wrong")


def _starts_too_high(shape: CurveShape, limits: CurveLimits) -> str | None:
    """The weights are so large that the first loss is far above chance."""
    if shape.excess < limits.excess:
        return None
    return f"the first loss is {shape.excess:.3g} times that of chance"


def _diverges(shape: CurveShape, limits: CurveLimits) -> str | None:
    """The loss ends far above where it began, or is lost."""
    if not shape.is_finite:
        return "the loss is not finite in the end"
    if shape.level > limits.far_above:
        return f"the loss ends at {shape.level:.3g} times that of chance"
    return None


def _is_weighed_down(shape: CurveShape, limits: CurveLimits) -> str | None:
    """The training shrank the weights rather than learned with them."""
    share = shape.penalty_share
    if share < limits.penalty_share or shape.level < limits.held_level:
        return None
    return (
        f"{share:.0%} of what the loss has lost was the penalty of the "
        f"weights, and {shape.level:.0%} of that of chance is left"
    )


def _overfits(shape: CurveShape, limits: CurveLimits) -> str | None:
    """The training loss vanishes, the validation loss does not."""
    if shape.gap < limits.gap or shape.level > limits.vanished:
        return None
    if shape.late_bounce > limits.calm:
        return None  # what is learned by heart stays learned
    return (
        f"the training loss ends at {shape.end:.3g}, the validation loss at "
        f"{shape.val_end:.3g}"
    )


def _is_held_back(shape: CurveShape, limits: CurveLimits) -> str | None:
    """Dropout is so strong that training is worse than validation."""
    if shape.gap > -limits.held_gap or shape.level < limits.held_level:
        return None
    if _jumps(shape, limits) and not len(shape.curve.dropouts):
        return None  # an epoch that jumps up and ends low
    return (
        f"the training loss ends at {shape.end:.3g}, above the validation "
        f"loss at {shape.val_end:.3g}{_with_dropout(shape)}"
    )


def _jumps(shape: CurveShape, limits: CurveLimits) -> str | None:
    """Steps that are too long lead away from what was reached."""
    if shape.bounce < limits.bounce and shape.spike < limits.spike:
        return None
    if _is_slow(shape, limits):
        return None  # only the batches differ
    if shape.level < limits.made_up and shape.late_bounce < limits.calm:
        return None  # and come down for good
    return (
        f"the loss rises again and again, by {shape.bounce:.0%} of the loss "
        f"of chance from epoch to epoch and {shape.spike:.0%} within"
    )


def _has_died(shape: CurveShape, limits: CurveLimits) -> str | None:
    """The first steps led to where no example changes the outputs."""
    if shape.is_short or not shape.curve.chance or shape.rest is None:
        return None
    if shape.level < limits.nothing or shape.rest > limits.rest:
        return None
    return (
        f"the training loss ends at {shape.level:.0%} of that of chance, and "
        f"the weights have come to rest, at {shape.rest:.1%} of their first "
        "pace"
    )


def _is_flat_first(shape: CurveShape, limits: CurveLimits) -> str | None:
    """Small weights pass on next to nothing, until they have grown."""
    least, share = limits.flat, limits.flat_share
    if shape.curve.chance:  # outputs that are all alike are a sign of their own
        if not shape.is_alike:
            return None
        least, share = limits.flat_alike, limits.flat_share_alike
    if shape.level > 0.8:
        return None
    if shape.is_alike and (shape.pace or 0) > limits.growth:
        return (
            "the outputs are all alike at first, and a step moves the weights "
            f"by {shape.pace:.0%} of them"
        )
    if shape.flat < max(least, share * shape.half):
        return None
    return (
        f"the loss is flat for {shape.flat:.0%} of the time, and has then "
        f"lost half of its fall at {shape.half:.0%}"
    )


def _stops_short(shape: CurveShape, limits: CurveLimits) -> str | None:
    """It learned at full speed, and then not at all."""
    if shape.is_short or not limits.done < shape.level < limits.begun:
        return None
    if shape.stop > limits.stop or shape.wiggle > limits.wiggle:
        return None
    return (
        f"after {shape.stop:.0%} of the time the loss hardly moves, with "
        f"{shape.level:.0%} of that of chance left"
    )


def _still_falls(shape: CurveShape, limits: CurveLimits) -> str | None:
    """Far from the ground, and straight on as before."""
    if shape.is_short or shape.level < limits.ground:
        return None
    fall = (
        f"{shape.late_fall:.0%} of the fall came in the last quarter, and "
        f"{shape.level:.0%} of the loss of chance is left"
    )
    if shape.pace is None:  # without the weights only a steep fall is one
        has_begun = shape.level < limits.begun
        least = limits.steep_fall if has_begun else limits.late_fall
        return fall if shape.late_fall >= least else None
    if not _is_slow(shape, limits) or shape.late_fall < limits.late_fall:
        return None
    return (
        f"{fall}, while a step moves the weights by {shape.pace:.1g} of them "
        f"and each epoch in the same direction (cosine {shape.turn:.2f})"
    )


def _stays_high(shape: CurveShape, limits: CurveLimits) -> str | None:
    """It has learned what it can, and that is not enough."""
    if shape.is_short or shape.level < limits.high:
        return None
    if shape.gap > limits.by_heart * shape.level:
        return None  # a network that is too small learns nothing by heart
    return (
        f"the training loss stays at {shape.level:.0%} of that of chance"
        f"{_with_dropout(shape)}"
    )


def _is_slow(shape: CurveShape, limits: CurveLimits) -> bool:
    """Whether the steps are short, and follow each other."""
    if shape.pace is None or shape.turn is None:
        return False
    return shape.pace < limits.pace and shape.turn > limits.straight


def _with_dropout(shape: CurveShape) -> str:
    rates = shape.curve.dropouts
    return f", with dropout of up to {max(rates):g}" if len(rates) else ""


Rule = Callable[[CurveShape, CurveLimits], str | None]
RULES: tuple[tuple[str, Rule, str], ...] = (
    (
        "underfitting",
        _is_weighed_down,
        "use a smaller penalty of the weights",
    ),
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
    ("rate too high", _has_died, "lower the rate 3 to 10 times"),
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
