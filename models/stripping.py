"""Takes out of a network what only its training needs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

    from dropzoo.models.edits import Edits


def strip_training_layers(model: "keras.Model") -> "keras.Model":
    """A model of Keras's own layers that computes the same at inference.

    So a saved model loads without this package. Layers that are the identity
    at inference are left out, and those that scale there become a `Rescaling`.
    Layers that drop connections become the plain layers that they are at
    inference, their weights scaled where the layer scales at inference.
    `StochasticResidual` becomes its layers and an addition.

    What computes something of its own at inference too has to stay;
    `why_not_portable` lists it.

    Args:
        model: A model.

    Returns: The model itself where it has no such layer, or is no functional or
        Sequential model; else an independent functional copy with equal
        weights.
    """
    from dropzoo.models.functional_graph import has_graph
    from dropzoo.models.rewiring import rewire

    if not has_graph(model):
        return model
    edits = training_edits(model)
    return model if edits.is_empty else rewire(model, edits)


def training_edits(model: "keras.Model") -> "Edits":
    """What has to change so that no layer is for training alone.

    Args:
        model: A functional or Sequential model.
    """
    from dropzoo.layers import StochasticResidual
    from dropzoo.models.edits import Edits
    from dropzoo.models.functional_graph import graphs

    edits = Edits()
    for graph in graphs(model):
        times = graph.times_called()
        for call in graph.calls:
            layer = call.operation
            if not isinstance(layer, StochasticResidual):
                _plan(layer, edits)
            elif times[id(layer)] == 1:
                edits.inlined.add(id(layer))
    return edits


def _plan(layer: Any, edits: "Edits") -> None:
    """Plans what becomes of one layer that may be for training."""
    import keras

    from dropzoo.layers import (
        DropBlock2D,
        DropConnect,
        DropConnectConv2D,
        DropConnectDense,
        MaxDrop,
        StochasticDepth,
    )

    match layer:
        case DropBlock2D() | MaxDrop() | StochasticDepth(scale="training"):
            edits.removed.add(id(layer))
        case StochasticDepth():
            edits.replaced[id(layer)] = keras.layers.Rescaling(
                1 - layer.rate, name=layer.name, dtype=layer.dtype_policy
            )
        case DropConnect():
            _plan_wrapped(layer, edits)
        case DropConnectDense() | DropConnectConv2D():
            if _is_plain_at_inference(layer):
                _plan_plain(layer, edits)


def _is_plain_at_inference(layer: Any) -> bool:
    """Whether inference is that of a `Dense` or `Conv2D` with some weights."""
    return layer.inference == "mean" or layer.rate == 0


def _plan_wrapped(wrapper: Any, edits: "Edits") -> None:
    """The layer in a `DropConnect`, under the wrapper's name."""
    from dropzoo.models.layer_copies import copy_operation

    plain = copy_operation(wrapper.layer)
    plain.name = wrapper.name
    edits.replaced[id(wrapper)] = plain
    if wrapper.scale == "inference":
        edits.weights[id(wrapper)] = [
            _scaled(weight, wrapper, weight is wrapper.layer.kernel)
            for weight in wrapper.weights
        ]


def _plan_plain(layer: Any, edits: "Edits") -> None:
    """The Keras layer that a layer which drops connections extends."""
    import keras

    from dropzoo.models.layer_copies import convert

    is_dense = isinstance(layer, keras.layers.Dense)
    kind = keras.layers.Dense if is_dense else keras.layers.Conv2D
    edits.replaced[id(layer)] = convert(layer, kind)
    if layer.scale == "inference":
        edits.weights[id(layer)] = [
            _scaled(weight, layer, weight is layer.kernel or layer.drop_bias)
            for weight in layer.weights
        ]


def _scaled(weight: Any, layer: Any, is_dropped: bool) -> Any:
    """A weight, times its chance to be kept where it may be dropped."""
    import keras

    value = keras.ops.convert_to_numpy(weight)
    scale = 1 - layer.rate if is_dropped else 1
    return (value * scale).astype(value.dtype)
