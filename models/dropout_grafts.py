"""Where dropout goes: before the classifier of a network."""

from typing import Any

import keras

from dropzoo.models.depth_drops import is_depth_drop
from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import Graph, calls_between, has_graph
from dropzoo.models.graft_request import Request, grafted_name
from dropzoo.models.layer_copies import rerate
from dropzoo.models.residual_additions import weighted_layers

REORDERING = (keras.layers.Flatten, keras.layers.Reshape)


def plan_dropout(
    request: Request, model: keras.Model, graphs: list[Graph], edits: Edits
) -> None:
    """Plans dropout before the classifier, or before layers that are named.

    A plain `Dropout` that stands there gets the rate instead.

    Args:
        request: What was asked for.
        model: A functional or Sequential model.
        graphs: Its graph and those of the models in it.
        edits: What is to change, added to.

    Raises: ValueError when there is no such layer.
    """
    if request.where is None:
        candidates, chosen = [], classifiers(model)
    else:
        candidates = [(graph, x) for graph in graphs for x in graph.calls]
        chosen = [x for x in candidates if request.chooses(x[1].operation)]
    if not chosen:
        request.refuse_nothing(
            "classifiers, layers with a kernel that end in classes"
            if request.where is None
            else "layers",
            [call.operation for _, call in candidates],
        )
    for graph, call in chosen:
        _drop_before(request, graph, call, edits)


def _drop_before(
    request: Request, graph: Graph, call: Any, edits: Edits
) -> None:
    tensor = call.input_tensors[0]
    for layer in (call.operation, _layer_before(tensor)):
        if is_plain_dropout(layer):
            edits.replaced[id(layer)] = rerate(
                layer, request.value, request.seed
            )
            return
    name = grafted_name(graph, call, request.argument)
    edits.before[call, id(tensor)] = keras.layers.Dropout(
        **request.options(name), name=name, dtype=tensor.dtype
    )


def _layer_before(tensor: Any) -> Any:
    """What computed a tensor, but for what only reorders it."""
    operation, index, _ = tensor._keras_history
    while isinstance(operation, REORDERING):
        (tensor,) = operation._inbound_nodes[index].input_tensors
        operation, index, _ = tensor._keras_history
    return operation


def is_plain_dropout(operation: Any) -> bool:
    """Whether a layer is a `Dropout` of single features.

    Args:
        operation: A layer or operation.
    """
    return type(operation) is keras.layers.Dropout and not is_depth_drop(
        operation
    )


def classifiers(model: keras.Model) -> list[tuple[Graph, Any]]:
    """Calls of the layers that end in classes, with their graphs.

    Args:
        model: A functional or Sequential model.

    Returns: For each output the last call of a layer with weights, where that
        is dense or a convolution of a single position.
    """
    graph, found = Graph(model), {}
    for output in model.outputs:
        calls = calls_between(model.inputs, [output])
        weighted = [x for x in calls if weighted_layers(x.operation)]
        for last in weighted[-1:]:
            if has_graph(last.operation):
                inner = classifiers(last.operation)
                found.update({call: graph for graph, call in inner})
            elif _classifies(last):
                found[last] = graph
    return [(graph, call) for call, graph in found.items()]


def _classifies(call: Any) -> bool:
    layer = call.operation
    layer = getattr(layer, "layer", layer)  # inside of a wrapper
    axes = [size for size in call.outputs[0].shape[1:] if size != 1]
    return hasattr(layer, "kernel") and len(axes) <= 1
