"""The parameters of a training that can be searched, and their legal values."""

import dataclasses
from collections.abc import Callable
from typing import get_args

from dropzoo.models.spec import LEVELS
from dropzoo.models.techniques import Pooling
from dropzoo.search.ranges import Choice, Continuous, Fixed, Range, Value

Rule = Callable[[Value], str]

# Schedules of `dropzoo.schedules.get` that take any number of steps.
SCHEDULES = (
    "cosine",
    "one_cycle",
    "step",
    "piecewise",
    "exponential",
    "inverse_time",
    "polynomial",
)
STRENGTHS = ("none", "light", "strong")  # of `dropzoo.data.Augmentation`


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter.

    Args:
        meaning: What it is, in a few words.
        default: What it may be where nobody says.
        kind: Type of its values; whole numbers serve as `float`, too.
        fault: Says which rule a value of that type breaks, as what stands
            behind "must"; empty where it breaks none.
        log: Whether two numbers given for it span an interval of factors.
    """

    meaning: str
    default: Range
    kind: type
    fault: Rule
    log: bool = False

    def is_of_kind(self, value: object) -> bool:
        """Whether a value has the right type.

        Args:
            value: Anything.
        """
        if isinstance(value, bool):
            return False
        kinds = (int, float) if self.kind is float else self.kind
        return isinstance(value, kinds)


def _one_of(*names: str) -> Rule:
    rule = f"be one of {', '.join(names)}"
    return lambda value: "" if value in names else rule


def _number(rule: str, holds: Callable[[float], bool]) -> Rule:
    return lambda value: "" if holds(float(value)) else rule


def _network(value: Value) -> str:
    from dropzoo.models.catalogue import model_info

    model_info(str(value))  # refuses what is not there, with close names
    return ""


_rate = _number("be in [0, 1)", lambda x: 0 <= x < 1)
_positive = _number("be above 0", lambda x: x > 0)
_not_negative = _number("be at least 0", lambda x: x >= 0)

PARAMETERS = {
    "backbone": Parameter(
        "network of the zoo", Fixed("efficientnet_lite0"), str, _network
    ),
    "image_size": Parameter(
        "side of the input in pixels", Fixed(None), int, _positive
    ),
    "pooling": Parameter(
        "kind of pooling between convolutions",
        Choice(("own", "stochastic")),
        str,
        _one_of("own", *get_args(Pooling)),
    ),
    "stochastic_depth": Parameter(
        "rate of dropping the deepest residual branch",
        Continuous(0.0, 0.3),
        float,
        _rate,
    ),
    "freeze": Parameter(
        "what stays as it was: all but the head, none, or up to a level",
        Choice(("all", "stride_16", "stride_4", "none")),
        str,
        _one_of("all", "none", *LEVELS),
    ),
    "batch_norm": Parameter(
        "whether statistics of pretrained normalization are frozen or trained",
        Choice(("frozen", "trained")),
        str,
        _one_of("frozen", "trained"),
    ),
    "hidden_units": Parameter(
        "units of a hidden layer in the head; 0 for none",
        Choice((0, 128, 512)),
        int,
        _not_negative,
    ),
    "dropout": Parameter(
        "rate before each dense layer of the head",
        Continuous(0.0, 0.6),
        float,
        _rate,
    ),
    "dropconnect": Parameter(
        "rate of dropping weights of the dense layers",
        Continuous(0.0, 0.3),
        float,
        _rate,
    ),
    "peak_rate": Parameter(
        "learning rate at its highest",
        Continuous(1e-5, 1e-1, log=True),
        float,
        _positive,
        log=True,
    ),
    "weight_decay": Parameter(
        "of AdamW",
        Continuous(1e-6, 1e-1, log=True),
        float,
        _not_negative,
        log=True,
    ),
    "schedule": Parameter(
        "how the rate goes down",
        Choice(("cosine", "one_cycle", "step")),
        str,
        _one_of(*SCHEDULES),
    ),
    "augmentation": Parameter(
        "how much training images are changed at random",
        Choice(STRENGTHS),
        str,
        _one_of(*STRENGTHS),
    ),
}
