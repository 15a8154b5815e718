"""Tells KerasTuner what a search may choose from, and under which conditions.

A parameter stands in a conditional scope of KerasTuner, so that its oracles
draw it, and compare trials by it, only where it has an effect.
"""

import fnmatch
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dropzoo.models.catalogue import model_info
from dropzoo.search.parameters import PARAMETERS
from dropzoo.search.ranges import Range, Value, among
from dropzoo.search.search_space import SearchSpace

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

# What some networks have no place for.
TECHNIQUES = ("pooling", "stochastic_depth", "dropconnect")
# Networks without batch normalization.
NO_BATCH_NORM = (
    "alexnet",
    "convnext_*",
    "fmp_*",
    "googlenet",
    "keras_vgg*",
    "lenet5",
    "maxout_cifar",
    "nin_cifar",
    "notes_cnn",
    "squeezenet*",
    "stochastic_pooling_cnn",
    "vgg[0-9][0-9]",
)
# What is there in any network.
ALWAYS = (
    "backbone",
    "image_size",
    "hidden_units",
    "dropout",
    "peak_rate",
    "weight_decay",
    "schedule",
    "augmentation",
)


def declare(
    space: SearchSpace, hp: "HyperParameters", *, pretrained: bool, side: int
) -> None:
    """Adds the parameters of a space to a search.

    Args:
        space: The ranges.
        hp: The parameters of the search.
        pretrained: Whether networks start from trained weights; without,
            there is nothing to freeze.
        side: Of the smallest input in pixels, which limits the levels that
            can be frozen; 0 for the networks' own inputs.

    Raises: ValueError when a network has none of the levels in `freeze`.
    """
    for name in ALWAYS:
        space[name].declare(hp, name)
    backbones = space["backbone"].ends
    for name in TECHNIQUES:
        able = [x for x in backbones if name not in model_info(str(x)).lacks]
        if able:
            with hp.conditional_scope("backbone", able):
                space[name].declare(hp, name)
    if not pretrained:
        return
    families = _families(space["freeze"], backbones, side)
    for (freeze, normalises), alike in families.items():
        with hp.conditional_scope("backbone", alike):
            freeze.declare(hp, "freeze")
            moving = [level for level in freeze.ends if level != "all"]
            if moving and normalises:
                with hp.conditional_scope("freeze", moving):
                    space["batch_norm"].declare(hp, "batch_norm")


def _families(
    freeze: Range, backbones: Iterable[Value], side: int
) -> dict[tuple[Range, bool], list[Value]]:
    """Networks by what can be frozen, and by whether they normalise."""
    alike: dict[tuple[Range, bool], list[Value]] = defaultdict(list)
    for backbone in backbones:
        levels = _levels(str(backbone), side)
        left = among(freeze, ("all", "none", *levels))
        if left is None:
            raise ValueError(
                "SearchSpace: `freeze` must hold something that each backbone "
                f"has; {backbone} has all, none, {', '.join(levels)}. "
                f"Received: freeze={freeze}"
            )
        alike[left, normalises_batches(str(backbone))].append(backbone)
    return alike


def normalises_batches(backbone: str) -> bool:
    """Whether a network has batch normalization.

    Args:
        backbone: Its name.
    """
    return not any(fnmatch.fnmatchcase(backbone, x) for x in NO_BATCH_NORM)


def _levels(backbone: str, side: int) -> list[str]:
    """Levels of which more than one position is left."""
    spec = model_info(backbone)
    return [
        level
        for level in spec.levels
        if int(level.removeprefix("stride_")) < (side or spec.input_size)
    ]


def settings(
    space: SearchSpace, hp: "HyperParameters", **facts: Any
) -> Mapping[str, Any]:
    """What a trial has drawn, by parameter.

    Args:
        space: The ranges.
        hp: The parameters of the trial; what is not declared in them is.
        **facts: What `declare` takes besides.

    Returns: The values of the parameters that have an effect.
    """
    known = {parameter.name for parameter in hp.space}
    if not {name for name in ALWAYS if space[name].ends} <= known:
        declare(space, hp, **facts)
    return {
        name: hp.values[name]
        for name in PARAMETERS
        if name in hp.values and hp.is_active(name)
    }
