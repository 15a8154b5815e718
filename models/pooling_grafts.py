"""Swaps pooling layers for others of the same geometry."""

from typing import Any

import keras

from dropzoo import layers
from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import Graph
from dropzoo.models.graft_request import Request
from dropzoo.models.layer_copies import convert
from dropzoo.models.seeds import layer_seed

# By rank. Averages are pooled by fractions in two dimensions alone.
MAX = {
    1: keras.layers.MaxPooling1D,
    2: keras.layers.MaxPooling2D,
    3: keras.layers.MaxPooling3D,
}
AVERAGE = {
    1: keras.layers.AveragePooling1D,
    2: keras.layers.AveragePooling2D,
    3: keras.layers.AveragePooling3D,
}
STOCHASTIC = {
    1: layers.StochasticPooling1D,
    2: layers.StochasticPooling2D,
    3: layers.StochasticPooling3D,
}
FRACTIONAL_MAX = {
    1: layers.FractionalMaxPooling1D,
    2: layers.FractionalMaxPooling2D,
    3: layers.FractionalMaxPooling3D,
}
FRACTIONAL_AVERAGE = {2: layers.FractionalAveragePooling2D}
KINDS = {
    "max": (MAX,),
    "average": (AVERAGE,),
    "stochastic": (STOCHASTIC,),
    "fractional": (FRACTIONAL_MAX, FRACTIONAL_AVERAGE),
}
POOLINGS = tuple(KINDS)


def plan_pooling(request: Request, graphs: list[Graph], edits: Edits) -> None:
    """Plans other pooling layers in place of those that there are.

    Global pooling is none of them, nor are windows of a single position, which
    only take every second row and column.

    Args:
        request: What was asked for.
        graphs: Those of the model and of the models in it.
        edits: What is to change, added to.

    Raises: ValueError when there is no such layer, or one cannot be swapped.
    """
    found = pooling_layers(graphs)
    chosen = {x: found[x] for x in found if request.chooses(x)}
    if not chosen:
        request.refuse_nothing("pooling layers", found)
    for layer, call in chosen.items():
        if pooling_of(layer) != request.value:
            edits.replaced[id(layer)] = _swap(layer, call, request)


def pooling_layers(graphs: list[Graph]) -> dict[keras.Layer, Any]:
    """Pooling layers that can be swapped, each with a call of it.

    Args:
        graphs: Those of a model and of the models in it.
    """
    return {
        call.operation: call
        for graph in graphs
        for call in graph.calls
        if pooling_of(call.operation) is not None
        and max(_window(call.operation)) > 1
    }


def pooling_of(operation: Any) -> str | None:
    """The kind of pooling that a layer is; `None` where it is none.

    Args:
        operation: A layer or operation.
    """
    for name, families in KINDS.items():
        if any(type(operation) in family.values() for family in families):
            return name
    return None


def _window(layer: keras.Layer) -> tuple[int, ...]:
    size = layer.pool_size
    return (size,) if isinstance(size, int) else tuple(size)


def _swap(layer: keras.Layer, call: Any, request: Request) -> keras.Layer:
    """A layer of another kind that gives maps of the same size."""
    shapes = call.input_tensors[0].shape, call.outputs[0].shape
    options = {}
    if request.value in ("stochastic", "fractional"):
        options["seed"] = layer_seed(request.seed, layer.name)
    if request.value == "fractional":
        return _to_fractions(layer, shapes, options, request)
    kind = KINDS[request.value][0][len(shapes[0]) - 2]
    if pooling_of(layer) == "fractional":
        return _from_fractions(layer, kind, shapes, options, request)
    return convert(layer, kind, **options)


def _to_fractions(layer, shapes, options, request) -> keras.Layer:
    is_average = pooling_of(layer) == "average"
    family = FRACTIONAL_AVERAGE if is_average else FRACTIONAL_MAX
    rank = len(shapes[0]) - 2
    if rank not in family:
        request.refuse(
            "averages are pooled by fractions in two dimensions alone, and "
            f"{layer.name!r} has {rank}"
        )
    layout = layer.get_config()["data_format"]
    before, after = (spatial_axes(x, layout) for x in shapes)
    if None in (*before, *after):
        request.refuse(
            f"{layer.name!r} reads maps of unknown size; give the model an "
            "input of fixed height and width"
        )
    new = convert(layer, family[rank], output_size=after, **options)
    try:
        new.compute_output_shape(shapes[0])
    except ValueError as error:
        request.refuse(
            f"{layer.name!r} cannot be pooled by fractions ({error}); choose "
            "others with `where`"
        )
    return new


def _from_fractions(layer, kind, shapes, options, request) -> keras.Layer:
    """Windows at whole strides in place of fractions, of the same output."""
    before, after = (spatial_axes(x, layer.layout) for x in shapes)
    pairs = [
        (long, short)
        for long, short in zip(before, after, strict=True)
        if long and short
    ]
    if len(pairs) == len(before):
        options["strides"] = tuple(
            max(round(long / short), 1) for long, short in pairs
        )
        for padding in ("valid", "same"):
            new = convert(layer, kind, padding=padding, **options)
            if tuple(new.compute_output_shape(shapes[0])) == tuple(shapes[1]):
                return new
    request.refuse(
        f"{layer.name!r} goes from {before} to {after}, which windows at whole "
        "strides do not"
    )


def spatial_axes(shape: Any, data_format: str) -> tuple[int | None, ...]:
    """The lengths of the axes that are neither batch nor channels.

    Args:
        shape: Of a tensor.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    first = 1 if data_format == "channels_last" else 2
    return tuple(shape[first : first + len(shape) - 2])
