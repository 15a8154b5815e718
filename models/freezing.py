"""Freezing: one vocabulary for levels, layers, patterns and predicates."""

import fnmatch
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

UpTo = str | Callable[[Any], bool]


def levels(model: "keras.Model") -> dict[str, str]:
    """The last layer at each resolution of a network.

    Args:
        model: A functional model on images.

    Returns: `{"stride_2": layer name, "stride_4": ...}`, the finest first: the
        last layer in the order of the model whose map is that many times
        smaller than the input. Empty where the input is not one image of a
        fixed height.
    """
    if not isinstance(model.input_shape, tuple):
        return {}  # several inputs
    height = _height(model.input_shape)
    found: dict[int, str] = {}
    for layer in model.layers:
        rows = _height(_output_shape(layer))
        if height and rows:
            # Odd sizes round up: 15 of 240 is stride 16, 8 of 240 stride 32.
            stride = 2 ** round(math.log2(height / rows))
            if stride > 1:
                found[stride] = layer.name
    return {f"stride_{stride}": found[stride] for stride in sorted(found)}


def freeze(model: "keras.Model", up_to: UpTo) -> list[str]:
    """Freezes layers, the named one included, and thaws all others.

    Call it before `compile`: a compiled model keeps the variables that it was
    compiled with.

    Args:
        model: A functional model.
        up_to: `"none"` thaws everything. `"head"` freezes everything before
            the last layer with weights, `"all"` everything. A level such as
            `"stride_8"`, or the name of a layer, freezes from the input up to
            and including it. A shell pattern such as `"stage[12]_*"` and a
            predicate `layer -> bool` freeze exactly the layers they match.

    Returns: Names of the frozen layers that have weights.

    Raises:
        TypeError: `up_to` is neither a string nor callable.
        ValueError: Nothing in the model has that name or matches it.
        RuntimeError: The model is compiled already.
    """
    if model.compiled:
        raise RuntimeError(
            "freeze: `model` must not be compiled yet, because `compile` "
            "fixes which variables are trained; freeze first, then compile."
        )
    frozen = _select(model, up_to)
    model.trainable = True
    for layer in model.layers:
        layer.trainable = layer.name not in frozen
    return [
        layer.name
        for layer in model.layers
        if layer.name in frozen and layer.weights
    ]


def unfreeze(model: "keras.Model") -> None:
    """Makes every layer trainable: `freeze(model, "none")`.

    Args:
        model: A functional model that is not compiled yet.

    Raises: RuntimeError when the model is compiled already.
    """
    freeze(model, "none")


def trainable_report(model: "keras.Model") -> str:
    """How many parameters train, in one sentence.

    Args:
        model: Any built model.
    """
    count = sum(_size(variable) for variable in model.trainable_variables)
    total = sum(_size(variable) for variable in model.variables)
    layers = [layer for layer in model.layers if layer.weights]
    thawed = [layer for layer in layers if layer.trainable_variables]
    return (
        f"{count:,} of {total:,} parameters train, in {len(thawed)} of "
        f"{len(layers)} layers with weights."
    )


def _select(model: Any, up_to: UpTo) -> set[str]:
    """Names of the layers to freeze."""
    names = [layer.name for layer in model.layers]
    if not isinstance(up_to, str):
        return _select_by_predicate(model, up_to)
    if up_to == "none":
        return set()
    if up_to == "all":
        return set(names)
    available = levels(model)
    if up_to == "head":
        weighted = [layer.name for layer in model.layers if layer.weights]
        return set(names[: names.index(weighted[-1])] if weighted else names)
    if re.fullmatch(r"stride_\d+", up_to) and up_to not in available:
        raise ValueError(
            f"freeze: `up_to` must be a level of {model.name} "
            f"({', '.join(available) or 'it has none'}). "
            f"Received: up_to={up_to!r}"
        )
    name = available.get(up_to, up_to)
    if name in names:
        return set(names[: names.index(name) + 1])
    matched = set(fnmatch.filter(names, up_to))
    if not matched:
        raise ValueError(
            "freeze: `up_to` must be 'none', 'head', 'all', a level "
            f"({', '.join(available) or 'it has none'}), or the name or "
            f"pattern of a layer of {model.name}. Received: up_to={up_to!r}"
        )
    return matched


def _select_by_predicate(
    model: Any, chooses: Callable[[Any], bool]
) -> set[str]:
    if not callable(chooses):
        raise TypeError(
            "freeze: `up_to` must be a string or a function of a layer. "
            f"Received: up_to={chooses!r}"
        )
    matched = {layer.name for layer in model.layers if chooses(layer)}
    if not matched:
        raise ValueError(
            f"freeze: the function `up_to` chose no layer of {model.name}; "
            "'none' freezes nothing."
        )
    return matched


def _output_shape(layer: Any) -> tuple[int | None, ...]:
    """Shape of what a layer gives; `()` where it gives several things."""
    try:
        return tuple(layer.output.shape)
    except (AttributeError, ValueError):
        return ()


def _height(shape: tuple[int | None, ...]) -> int | None:
    """Height of a map `(batch, height, width, channels)`, if it is one."""
    return shape[1] if len(shape) == 4 else None


def _size(variable) -> int:
    return math.prod(variable.shape)
