"""Where DropBlock and Max-Drop go: behind the coarser maps of a network."""

from collections.abc import Iterator
from typing import Any

import keras

from dropzoo.layers import DropBlock2D, MaxDrop, Maxout
from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import Graph
from dropzoo.models.graft_request import Request, grafted_name
from dropzoo.models.layer_copies import rerate
from dropzoo.models.residual_additions import (
    ResidualAddition,
    find_residual_additions,
)

MAP_DROPS = {"drop_block": DropBlock2D, "max_drop": MaxDrop}
ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
    Maxout,
)
LEVELS = 2  # the coarsest ones, as the authors of DropBlock chose


def plan_map_drop(
    request: Request, model: keras.Model, graphs: list[Graph], edits: Edits
) -> None:
    """Plans layers that drop parts of maps.

    Args:
        request: What was asked for. Without `where`, layers of this kind that
            the model has get the rate. A model that has none gets one behind
            each residual addition of the two coarsest levels, or behind each
            activation of them where it has no residual additions.
        model: A functional or Sequential model.
        graphs: Its graph and those of the models in it.
        edits: What is to change, added to.

    Raises: ValueError when there is no such place.
    """
    kind = MAP_DROPS[request.argument]
    calls = [(graph, call) for graph in graphs for call in graph.calls]
    there = [x for _, x in calls if isinstance(x.operation, kind)]
    if request.where is not None:
        maps = [x for x in calls if is_map(x[1].outputs[0])]
        chosen = [x for x in maps if request.chooses(x[1].operation)]
        candidates = [call.operation for _, call in maps]
    elif there:
        chosen, candidates = [x for x in calls if x[1] in there], []
    else:
        chosen, candidates = coarse_calls(model, graphs), []
    if not chosen:
        request.refuse_nothing(
            "maps of known size behind residual additions or activations"
            if request.where is None
            else "layers that give maps",
            candidates,
        )
    for graph, call in chosen:
        _drop_behind(request, kind, graph, call, edits)


def _drop_behind(request, kind, graph, call, edits) -> None:
    """Re-rates the drop that is or follows a call, or puts one behind it."""
    tensor = call.outputs[0]
    for layer in (call.operation, *_drops_behind(graph, tensor)):
        if isinstance(layer, kind):
            edits.replaced[id(layer)] = rerate(
                layer, request.value, request.seed
            )
            return
    name = grafted_name(graph, call, request.argument)
    options = {**request.options(name), "name": name, "dtype": tensor.dtype}
    edits.after[id(tensor)].append(kind(**options))


def _drops_behind(graph: Graph, tensor: Any) -> Iterator[keras.Layer]:
    """Layers that drop parts of a map, one behind the other."""
    readers = graph.readers(tensor)
    while len(readers) == 1 and isinstance(
        readers[0].operation, tuple(MAP_DROPS.values())
    ):
        yield readers[0].operation
        readers = graph.readers(readers[0].outputs[0])


def coarse_calls(
    model: keras.Model, graphs: list[Graph]
) -> list[tuple[Graph, Any]]:
    """Calls that give the maps of the two coarsest levels.

    Args:
        model: A functional or Sequential model.
        graphs: Its graph and those of the models in it.

    Returns: Residual additions with their graphs, or activations where the
        model has no residual addition on a map. Maps of one position, or of
        unknown size, are none.
    """
    additions: list[ResidualAddition] = find_residual_additions(model)
    calls = [(x.graph, x.call) for x in additions]
    calls = [x for x in calls if is_map(x[1].outputs[0])]
    if not calls:
        calls = [
            (graph, call)
            for graph in graphs
            for call in graph.calls
            if is_map(call.outputs[0]) and _activates(call.operation)
        ]
    sizes = {side(call.outputs[0]) or 1 for _, call in calls} - {1}
    coarsest = sorted(sizes)[:LEVELS]
    return [x for x in calls if side(x[1].outputs[0]) in coarsest]


def is_map(tensor: Any) -> bool:
    """Whether a tensor is a batch of maps, with two spatial axes.

    Args:
        tensor: A symbolic tensor.
    """
    return len(tensor.shape) == 4


def side(tensor: Any) -> int | None:
    """Rows of a batch of maps.

    Args:
        tensor: A symbolic tensor of four axes.
    """
    is_last = keras.config.image_data_format() == "channels_last"
    return tensor.shape[1 if is_last else 2]


def _activates(operation: Any) -> bool:
    """Whether it is an activation, or a convolution with one."""
    activation = getattr(operation, "activation", None)
    is_linear = activation in (None, keras.activations.linear)
    if isinstance(operation, keras.layers.Activation):
        return not is_linear
    return isinstance(operation, ACTIVATIONS) or (
        hasattr(operation, "kernel") and not is_linear
    )
