"""Factors on the learning rate, for a layer-wise optimizer."""

from collections.abc import Iterable, Mapping

import keras

from dropzoo.models.freezing import UpTo, select_places
from dropzoo.models.layer_places import Place, layer_places
from dropzoo.models.levels import levels


def depth_factors(model: keras.Model, decay: float) -> list[float]:
    """Factors that fall with each level of resolution, from the head back.

    Layers up to the finest level form the first group, those between two
    levels the next, and everything behind the coarsest level, the head, the
    last one, whose factor is 1. The group before has `decay`, the one before
    that `decay ** 2`, and so on.

    Args:
        model: A functional model on images.
        decay: Float in (0, 1]. 1 gives every layer the same rate.

    Returns: One factor for each of `model.trainable_variables`.

    Raises: ValueError when `decay` is outside its range.
    """
    if not 0 < decay <= 1:
        raise ValueError(
            "depth_factors: `decay` must be in (0, 1]. "
            f"Received: decay={decay!r}"
        )
    boundaries = set(levels(model).values())
    group, groups = 0, {}
    for place in layer_places(model):
        if place.has_weights:
            for variable in place.operation.trainable_variables:
                groups[id(variable)] = group
        group += place.address in boundaries
    return [
        decay ** (group - groups[id(variable)])
        for variable in model.trainable_variables
    ]


def layer_factors(
    model: keras.Model, groups: Mapping[UpTo, float]
) -> list[float]:
    """Factors for groups of layers, in the words of `freeze`.

    A layer of several groups has the factor of the first. So groups that reach
    from the input up to a level go from fine to coarse. What is in no group
    has factor 1.

    Args:
        model: A built model.
        groups: Factors, at least 0, by `up_to` as `dropzoo.models.freeze` takes
            it: a level, a layer, a pattern or a predicate.

    Returns: One factor for each of `model.trainable_variables`.

    Raises: ValueError when a group matches nothing that trains and is not in a
        group before it.

    Example:
        >>> import keras
        >>> x = keras.Input((8,))
        >>> y = keras.layers.Dense(4, name="early")(x)
        >>> model = keras.Model(x, keras.layers.Dense(2, name="late")(y))
        >>> layer_factors(model, {"early": 0.1})
        [0.1, 0.1, 1.0, 1.0]
    """
    places = layer_places(model)
    factors: dict[int, float] = {}
    for up_to, factor in groups.items():
        new = [
            id(variable)
            for variable in _variables(select_places(model, places, up_to))
            if id(variable) not in factors
        ]
        if not new:
            raise ValueError(
                "layer_factors: every one of `groups` must match a layer that "
                "trains and is in no group before it. "
                f"Received: {up_to!r}, which matches none"
            )
        factors.update(dict.fromkeys(new, factor))
    return [factors.get(id(x), 1.0) for x in model.trainable_variables]


def _variables(places: Iterable[Place]) -> list[keras.Variable]:
    """What trains there, in inner models too."""
    return [
        variable
        for place in places
        if hasattr(place.operation, "trainable_variables")
        for variable in place.operation.trainable_variables
    ]
