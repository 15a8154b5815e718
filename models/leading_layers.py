"""The preprocessing that a model begins with: resizing and normalising."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import Graph, has_graph
from dropzoo.models.layer_copies import copy_operation
from dropzoo.models.rewiring import rewire, rewire_behind

KINDS = (
    keras.layers.Resizing,
    keras.layers.Rescaling,
    keras.layers.Normalization,
)


class LeadingLayer(NamedTuple):
    """One layer of a model's preprocessing.

    Attributes:
        layer: The layer.
        tensor: What it gives, symbolic, in the model that it is directly in.
        route: The calls of the models around it, the outermost first.
    """

    layer: keras.Layer
    tensor: Any
    route: tuple[Any, ...]


def leading_layers(model: keras.Model) -> list[LeadingLayer]:
    """The layers that everything in a model reads its images through.

    Args:
        model: A functional or Sequential model of one output. A model that it
            begins with is looked into.

    Returns: Resizing, Rescaling and Normalization layers of Keras, in order;
        none where the input is not one tensor.
    """
    found: list[LeadingLayer] = []
    route: tuple[Any, ...] = ()
    graph, casts = Graph(model), False
    if not isinstance(input_of(model), keras.KerasTensor):
        return found
    tensor = model.inputs[0]
    while len(graph.readers(tensor)) == 1 and not graph.is_output(tensor):
        (call,) = graph.readers(tensor)
        layer = call.operation
        is_resizing = type(layer) is keras.layers.Resizing
        if graph.times_called()[id(layer)] > 1 or (casts and is_resizing):
            break  # a photo would be rounded before the cast, not behind it
        if type(layer) in KINDS:
            tensor = call.outputs[0]
            found.append(LeadingLayer(layer, tensor, route))
        elif has_graph(layer) and len(layer.inputs) == len(layer.outputs) == 1:
            graph, route = Graph(layer), (*route, call)
            casts = casts or layer.inputs[0].dtype != tensor.dtype
            tensor = layer.inputs[0]
        else:
            break
    return found


def shared_layers(models: Sequence[keras.Model]) -> list[list[LeadingLayer]]:
    """For each of several models, the leading layers that all begin with.

    Layers are equal where class, arguments and weights are; names may differ.

    Args:
        models: Functional or Sequential models.

    Returns: Lists of one length, empty ones perhaps.
    """
    leading = [leading_layers(model) for model in models]
    count = 0
    for steps in zip(*leading, strict=False):
        first, *others = (step.layer for step in steps)
        if not all(_are_equal(first, other) for other in others):
            break
        count += 1
    return [steps[:count] for steps in leading]


def _are_equal(one: keras.Layer, other: keras.Layer) -> bool:
    if type(one) is not type(other) or _arguments(one) != _arguments(other):
        return False
    weights = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(x, y) for x, y in weights)


def _arguments(layer: keras.Layer) -> dict[str, Any]:
    arguments = keras.saving.serialize_keras_object(layer)["config"]
    return {
        name: value
        for name, value in arguments.items()
        if name not in ("name", "trainable")
    }


def behind(
    model: keras.Model, steps: Sequence[LeadingLayer], edits: Edits
) -> keras.Model:
    """A copy of a model without its first leading layers.

    Args:
        model: A functional or Sequential model.
        steps: Those that are done before it; none leaves it whole.
        edits: What else is to change.

    Returns: An independent functional model.
    """
    if not steps:
        return rewire(model, edits)
    return rewire_behind(model, steps[-1].tensor, steps[-1].route, edits)


def call_copy(layer: keras.Layer, x: Any) -> Any:
    """What a copy of a leading layer gives.

    Args:
        layer: The layer.
        x: A symbolic tensor.
    """
    copy = copy_operation(layer)
    y = copy(x, training=False)
    copy.set_weights(layer.get_weights())
    if isinstance(copy, keras.layers.Normalization):
        copy.finalize_state()  # It computes with constants made of them.
    return y


def input_of(model: keras.Model) -> Any:
    """The input of a model, structured as the model takes it.

    Args:
        model: A functional or built Sequential model.
    """
    is_named = not isinstance(model, keras.Sequential) and isinstance(
        model.input, dict
    )
    if len(model.inputs) == 1 and not is_named:
        return model.inputs[0]
    return model.input


def new_input(tensor: Any) -> Any:
    """A new input of the name, shape and type of another.

    Args:
        tensor: The input of a model.
    """
    return keras.Input(
        batch_shape=tensor.shape,
        dtype=tensor.dtype,
        name=tensor._keras_history.operation.name,
    )
