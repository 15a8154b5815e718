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
        smaller than the input.
    """
    height = model.input_shape[1]
    found: dict[int, str] = {}
    for layer in model.layers:
        shape = getattr(layer.output, "shape", ())
        if len(shape) == 4 and shape[1]:
            # Odd sizes round up: 15 of 240 is stride 16, 8 of 240 stride 32.
            stride = 2 ** round(math.log2(height / shape[1]))
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


def _select(model, up_to: UpTo) -> set[str]:
    names = [layer.name for layer in model.layers]
    if callable(up_to):
        return {layer.name for layer in model.layers if up_to(layer)}
    if up_to == "none":
        return set()
    if up_to == "all":
        return set(names)
    if up_to == "head":
        weighted = [layer.name for layer in model.layers if layer.weights]
        return set(names[: names.index(weighted[-1])])
    if re.fullmatch(r"stride_\d+", up_to):
        available = levels(model)
        if up_to not in available:
            raise ValueError(
                f"freeze: `up_to` must be a level of {model.name} "
                f"({', '.join(available)}). Received: up_to={up_to!r}"
            )
        up_to = available[up_to]
    if up_to in names:
        return set(names[: names.index(up_to) + 1])
    matched = set(fnmatch.filter(names, up_to))
    if not matched:
        raise ValueError(
            "freeze: `up_to` must be 'none', 'head', 'all', a level "
            f"({', '.join(levels(model))}), or the name or pattern of a "
            f"layer of {model.name}. Received: up_to={up_to!r}"
        )
    return matched


def _size(variable) -> int:
    return math.prod(variable.shape)
