"""Freezing: one vocabulary for levels, layers, patterns and predicates."""

import fnmatch
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dropzoo.models.layer_places import Place, close_addresses, layer_places
from dropzoo.models.levels import levels as levels

if TYPE_CHECKING:
    import keras

UpTo = str | Callable[[Any], bool]


def freeze(model: "keras.Model", up_to: UpTo) -> list[str]:
    """Freezes layers, the named one included, and thaws all others.

    What is frozen does not move in `fit`, and its BatchNorms use and keep
    their moving statistics.

    A layer inside an inner model, as in the `model.keras` of a run, is named
    `"inner/layer"`; levels and `"head"` look into inner models by themselves.

    A compiled model is compiled again as it was, because `compile` fixes which
    variables train. Its optimizer keeps its step counter, its rate and the
    slots (momenta and the like) of all variables that go on training; metrics
    start anew. Slots of what is thawed start at zero: late in training the
    first steps there of Keras's Adam are up to 3.2 times the rate, so lower or
    warm it up. Call it between two `fit`s, never in a callback.

    Args:
        model: A built model.
        up_to: `"none"` thaws everything. `"head"` freezes everything before
            the last layer with weights, `"all"` everything. A level such as
            `"stride_8"`, or the name of a layer, freezes from the input up to
            and including it. A shell pattern such as `"stage[12]_*"` or
            `"inner/*_bn"` and a predicate `layer -> bool` freeze exactly the
            layers they match; an inner model that matches is frozen as a
            whole.

    Returns: Names of the frozen layers that have weights.

    Raises:
        TypeError: `up_to` is neither a string nor callable.
        ValueError: Nothing in the model has that name or matches it; or the
            model is compiled and cannot be compiled again, and is then left
            as it was.
    """
    from dropzoo.models.recompiling import recompile

    places = layer_places(model)
    chosen = select_places(model, places, up_to)
    inside = tuple(f"{x.address}/" for x in chosen if not x.is_leaf)
    within = [x for x in places if x.address.startswith(inside)]
    frozen = {id(x.operation) for x in (*chosen, *within) if x.is_leaf}
    layers = [x.operation for x in places if hasattr(x.operation, "trainable")]
    before = [(x, x.trainable) for x in (model, *reversed(layers))]
    model.trainable = True
    for place in places:
        if place.is_leaf and hasattr(place.operation, "trainable"):
            place.operation.trainable = id(place.operation) not in frozen
    if model.compiled:
        try:
            recompile(model)
        except Exception:
            for layer, trainable in before:  # models before what is in them
                layer.trainable = trainable
            raise
    return [
        place.address
        for place in places
        if id(place.operation) in frozen and place.has_weights
    ]


def unfreeze(model: "keras.Model") -> None:
    """Makes every layer trainable: `freeze(model, "none")`.

    Args:
        model: A built model. A compiled one is compiled again, as by `freeze`.

    Raises: ValueError when it is compiled and cannot be compiled again.
    """
    freeze(model, "none")


def trainable_report(model: "keras.Model") -> str:
    """How many parameters train, in one sentence.

    Args:
        model: Any built model; layers of inner models count one by one.
    """
    count = sum(math.prod(x.shape) for x in model.trainable_weights)
    total = sum(math.prod(x.shape) for x in model.weights)
    layers = {
        id(place.operation): place.operation
        for place in layer_places(model)
        if place.has_weights
    }
    thawed = [x for x in layers.values() if x.trainable_weights]
    return (
        f"{count:,} of {total:,} parameters train, in {len(thawed)} of "
        f"{len(layers)} layers with weights."
    )


def select_places(model: Any, places: list[Place], up_to: UpTo) -> list[Place]:
    """What `freeze` freezes.

    Args:
        model: A built model.
        places: Those of the model.
        up_to: As for `freeze`.

    Returns: The places; an inner model stands for all that is in it.

    Raises: As `freeze`.
    """
    if not isinstance(up_to, str):
        return _select_by_predicate(model, places, up_to)
    if up_to == "none":
        return []
    if up_to == "all":
        return places
    if up_to == "head":
        heads = [i for i, place in enumerate(places) if place.has_weights]
        return places[: heads[-1]] if heads else places
    available = levels(model)
    if re.fullmatch(r"stride_\d+", up_to) and up_to not in available:
        raise ValueError(
            f"freeze: `up_to` must be a level of {model.name} "
            f"({', '.join(available) or 'it has none'}). "
            f"Received: up_to={up_to!r}"
        )
    name = available.get(up_to, up_to)
    named = [i for i, place in enumerate(places) if place.address == name]
    if named:
        return places[: named[-1] + 1]
    matched = [x for x in places if fnmatch.fnmatchcase(x.address, up_to)]
    if not matched:
        raise ValueError(
            "freeze: `up_to` must be 'none', 'head', 'all', a level "
            f"({', '.join(available) or 'it has none'}), or the name or "
            f"pattern of a layer of {model.name}. Received: up_to={up_to!r}"
            f"{close_addresses(places, up_to)}"
        )
    return matched


def _select_by_predicate(
    model: Any, places: list[Place], chooses: Callable[[Any], bool]
) -> list[Place]:
    if not callable(chooses):
        raise TypeError(
            "freeze: `up_to` must be a string or a function of a layer. "
            f"Received: up_to={chooses!r}"
        )
    layers = [x for x in places if hasattr(x.operation, "trainable")]
    matched = [place for place in layers if chooses(place.operation)]
    if not matched:
        raise ValueError(
            f"freeze: the function `up_to` chose no layer of {model.name}; "
            "'none' freezes nothing."
        )
    return matched
