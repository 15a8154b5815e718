"""Where DropConnect goes: around the kernels of dense layers and others."""

from collections.abc import Iterator
from typing import Any

import keras

from dropzoo.layers import DropConnect, DropConnectConv2D, DropConnectDense
from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import Graph
from dropzoo.models.graft_request import Request
from dropzoo.models.layer_copies import convert, copy_operation, rerate

DROPS_CONNECTIONS = (DropConnect, DropConnectConv2D, DropConnectDense)
OWN_KINDS = {
    keras.layers.Dense: DropConnectDense,
    keras.layers.Conv2D: DropConnectConv2D,
}


def plan_dropconnect(
    request: Request, graphs: list[Graph], edits: Edits
) -> None:
    """Plans layers that drop connections in place of plain ones.

    Args:
        request: What was asked for. Without `where`, layers that drop
            connections already get the rate; where there are none, the dense
            layers on vectors do.
        graphs: Those of the model and of the models in it.
        edits: What is to change, added to.

    Raises: ValueError when there is no such layer.
    """
    found = dict(layers_with_kernel(graphs))
    there = [layer for layer in found if isinstance(layer, DROPS_CONNECTIONS)]
    if request.where is not None:
        chosen = [layer for layer in found if request.chooses(layer)]
        kind = "layers with a kernel"
    else:
        vectors = [x for x in found if is_dense_on_vectors(x, found[x])]
        chosen, kind = there or vectors, "dense layers on vectors"
    if not chosen:
        request.refuse_nothing(kind, found if request.where else ())
    for layer in chosen:
        edits.replaced[id(layer)] = (
            rerate(layer, request.value, request.seed)
            if isinstance(layer, DROPS_CONNECTIONS)
            else _with_dropconnect(layer, request)
        )


def layers_with_kernel(
    graphs: list[Graph],
) -> Iterator[tuple[keras.Layer, Any]]:
    """Layers that have one kernel, each with a call of it.

    Args:
        graphs: Those of a model and of the models in it.
    """
    for graph in graphs:
        for call in graph.calls:
            layer = call.operation
            kernel = getattr(layer, "kernel", None)
            has_kernel = isinstance(layer, keras.Layer) and any(
                kernel is weight for weight in layer.weights
            )
            # Low-rank adapters and quantisation make it of several parts.
            is_whole = len(getattr(layer, "weights", ())) <= 2
            if isinstance(layer, DropConnect) or (has_kernel and is_whole):
                yield layer, call


def is_dense_on_vectors(layer: keras.Layer, call: Any) -> bool:
    """Whether a layer is dense and reads `(batch, features)`.

    On maps and sequences a dense layer is a convolution with a 1x1 kernel.

    Args:
        layer: A layer.
        call: A call of it.
    """
    is_dense = type(layer) in (keras.layers.Dense, DropConnectDense)
    return is_dense and len(call.input_tensors[0].shape) == 2


def _with_dropconnect(layer: keras.Layer, request: Request) -> keras.Layer:
    options = request.options(layer.name)
    kind = OWN_KINDS.get(type(layer))
    if kind is not None:
        return convert(layer, kind, **options)
    return DropConnect(copy_operation(layer), name=layer.name, **options)
