"""The maps of a network at several resolutions."""

from collections.abc import Sequence
from typing import Any

import keras

from dropzoo.models.functional_graph import has_graph
from dropzoo.models.inner_tensors import outer_tensors
from dropzoo.models.layer_places import (
    Place,
    close_addresses,
    layer_places,
)
from dropzoo.models.levels import level_places


def feature_extractor(
    model: keras.Model, levels: str | Sequence[str] | None = None
) -> keras.Model:
    """A model that gives the maps inside a network, by their level.

    It shares the layers with the network: training one trains the other, and
    what is frozen in one is frozen in both. Only what the maps need is
    computed.

    Args:
        model: A functional or Sequential model on images: of the catalogue, of
            `keras.applications`, grafted, or one with a model inside, such as
            the `model.keras` of a run. It is left as it is.
        levels: One or several of the model's levels, such as
            `("stride_8", "stride_16")`: at each, what the last layer of that
            resolution gives. Or names of layers, inside an inner model as
            `"inner/layer"`. `None`, the default, takes all levels.

    Returns: A functional model from the network's input to a dictionary of
        maps `(batch, height, width, channels)` by the names asked for, the
        finest level first where none were. A layer that is called several
        times gives its first result.

    Raises:
        TypeError: `model` is not functional, or `levels` holds no names.
        ValueError: The model has no such level or layer, or what it gives
            cannot be read from outside.

    Example:
        >>> x = keras.Input((32, 32, 3))
        >>> y = keras.layers.Conv2D(4, 3, 2, padding="same", name="fine")(x)
        >>> y = keras.layers.Conv2D(8, 3, 2, padding="same", name="coarse")(y)
        >>> extractor = feature_extractor(keras.Model(x, y))
        >>> {name: x.shape[1:] for name, x in extractor.output.items()}
        {'stride_2': (16, 16, 4), 'stride_4': (8, 8, 8)}
    """
    if not has_graph(model):
        raise TypeError(
            "feature_extractor: `model` must be a functional or a built "
            f"Sequential keras.Model. Received: {type(model).__name__}"
        )
    known = level_places(model)
    names = _names(levels, known, model)
    by_address = {place.address: place for place in layer_places(model)}
    places = [_find(name, known, by_address, model) for name in names]
    routed = [(place.route or (), place.tensor) for place in places]
    tensors = outer_tensors(model, routed)
    is_sequential = isinstance(model, keras.Sequential)
    return keras.Model(
        model.inputs[0] if is_sequential else model.input,
        dict(zip(names, tensors, strict=True)),
        name=f"{model.name}_features",
    )


def _names(levels: Any, known: dict[str, Place], model: Any) -> list[str]:
    """The names asked for, as a list."""
    names = list(known) if levels is None else levels
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not all(
        isinstance(name, str) for name in names
    ):
        raise TypeError(
            "feature_extractor: `levels` must be None, a name or a sequence of "
            f"names. Received: levels={levels!r}"
        )
    if not names:
        raise ValueError(
            "feature_extractor: `levels` must name levels or layers of "
            f"{model.name}, which has {_listed(known)}. "
            f"Received: levels={levels!r}"
        )
    return list(names)


def _find(
    name: str, known: dict[str, Place], by_address: dict[str, Place], model: Any
) -> Place:
    """The place of a level or layer whose map can be read."""
    place = known.get(name) or by_address.get(name)
    if place is None:
        hint = close_addresses(list(by_address.values()), name)
        raise ValueError(
            "feature_extractor: `levels` must name levels or layers of "
            f"{model.name}, which has {_listed(known)}. "
            f"Received: {name!r}{hint}"
        )
    if place.route is None or place.tensor is None:
        raise ValueError(
            f"feature_extractor: what {name!r} of {model.name} gives cannot be "
            "read from outside, because the layer around it calls it by "
            "itself, or it gives several tensors; name the layer around it."
        )
    return place


def _listed(known: dict[str, Place]) -> str:
    return f"the levels {', '.join(known)}" if known else "no levels"
