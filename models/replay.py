"""Calls the layers of a network again, on other tensors and as new layers."""

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import keras

from dropzoo.models.functional_graph import (
    calls_between,
    has_graph,
    operations_in,
)


def replay(
    x: Any, start: Any, end: Any, make: Callable[[Any, Any], Any]
) -> Any:
    """Makes again what leads from one tensor of a network to another.

    Models on the way are opened: their layers are called one by one.

    Args:
        x: Symbolic tensor that takes the place of `start`.
        start: Symbolic tensor of the network.
        end: Symbolic tensor that is computed from `start`.
        make: Gives a new layer for a layer or operation and the tensor that it
            reads, or `None` to hand on what comes.

    Returns: A symbolic tensor in place of `end`.
    """
    tensors = {id(start): x}

    def fill(argument: Any) -> Any:
        is_tensor = isinstance(argument, keras.KerasTensor)
        return tensors.get(id(argument)) if is_tensor else argument

    for call in calls_between([start], [end]):
        operation, read = call.operation, call.input_tensors[0]
        args = keras.tree.map_structure(fill, call.arguments.args)
        kwargs = keras.tree.map_structure(fill, call.arguments.kwargs)
        if has_graph(operation):
            ends = operation.inputs[0], operation.outputs[0]
            new = replay(tensors[id(read)], *ends, make)
        else:
            layer = make(operation, read)
            new = args[0] if layer is None else layer(*args, **kwargs)
        tensors[id(call.outputs[0])] = new
    return tensors[id(end)]


def stable_names(model: keras.Model) -> dict[int, str]:
    """Names that are the same in every process.

    Keras numbers layers without a name of their own through all models of a
    process. Here they are numbered in their model alone, from the first one,
    which has no number.

    Args:
        model: A functional model, with models in it or not.

    Returns: The name of each layer and operation by its `id`.
    """
    numbered = defaultdict(list)
    names = {}
    for operation in operations_in(model):
        names[id(operation)] = operation.name
        number = _automatic_number(operation)
        if number is not None:
            numbered[type(operation).__name__].append((number, operation))
    for group in numbered.values():
        group.sort(key=lambda pair: pair[0])
        for rank, (_, operation) in enumerate(group):
            stem = _automatic_stem(operation)
            names[id(operation)] = f"{stem}_{rank}" if rank else stem
    return names


def _automatic_stem(operation: Any) -> str:
    """What Keras begins the name of a nameless layer of that class with."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(operation).__name__)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _automatic_number(operation: Any) -> int | None:
    stem = re.escape(_automatic_stem(operation))
    match = re.fullmatch(rf"{stem}(?:_(\d+))?", operation.name)
    return None if match is None else int(match[1] or 0)
