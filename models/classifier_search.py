"""Finds the classifier of a network, and the features below it."""

from dataclasses import dataclass
from typing import Any

import keras

from dropzoo.models.functional_graph import has_graph
from dropzoo.models.heads import HEAD
from dropzoo.models.layer_places import Place, layer_places

DROPOUTS = (
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
)
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
OF_CLASSES = (keras.activations.softmax, keras.activations.sigmoid)


@dataclass(frozen=True, eq=False)
class Features:
    """What a classifier stands on.

    Attributes:
        tensor: Symbolic, `(batch, features)` or maps `(batch, height, width,
            channels)`, in the model that it is directly in.
        route: The calls of the models around it, the outermost first.
    """

    tensor: Any
    route: tuple[Any, ...]


def find_features(model: keras.Model, *, wants_map: bool) -> Features:
    """The features below the classifier of a network.

    Args:
        model: A functional or Sequential model with one output.
        wants_map: Whether to go back to the last map.

    Raises: ValueError when what is below the classifier is neither a vector
        nor a map, or a map is wanted and there is none.
    """
    classifier = find_classifier(model)
    if classifier is None:
        found = Features(model.outputs[0], ())
    else:
        tensor = _call_of(classifier.tensor).input_tensors[0]
        found = Features(_without_dropout(tensor), classifier.route or ())
    if wants_map:
        found = _last_map(found, model)
    if len(found.tensor.shape) not in (2, 4):
        raise ValueError(
            f"replace_head: {model.name} must have features (batch, features) "
            "or maps (batch, height, width, channels) below its head. "
            f"Received: shape {tuple(found.tensor.shape)}"
        )
    return found


def find_classifier(model: keras.Model) -> Place | None:
    """The last layer with weights, where it ends in class scores.

    It does where softmax or sigmoid follow. Where nothing but linear layers
    follow, a dense layer does, and a convolution on a single position or of
    the name `logits`; another may as well be the end of a network without a
    head.

    Args:
        model: A functional or Sequential model.

    Returns: Its place; `None` where the network has no classifier.
    """
    places = layer_places(model)
    weighted = [i for i, place in enumerate(places) if place.has_weights]
    if not weighted:
        return None
    last = places[weighted[-1]]
    if last.tensor is None or last.route is None:
        return None
    activations = [
        _activation(place.operation) for place in places[weighted[-1] :]
    ]
    if any(x in OF_CLASSES for x in activations):
        return last
    if any(x not in (None, keras.activations.linear) for x in activations):
        return None
    return last if _scores_classes(last) else None


def _scores_classes(place: Place) -> bool:
    """Whether a linear layer at the end is a classifier by its kind."""
    layer = getattr(place.operation, "layer", place.operation)  # of a wrapper
    if isinstance(layer, (keras.layers.Dense, keras.layers.EinsumDense)):
        return True
    if not isinstance(layer, CONVOLUTIONS):
        return False
    is_point = set(_call_of(place.tensor).input_tensors[0].shape[1:-1]) == {1}
    return is_point or place.operation.name == HEAD


def _activation(operation: Any) -> Any:
    """The activation function of a layer or operation, if it has one."""
    if type(operation).__name__ == "Softmax":  # the layer or the operation
        return keras.activations.softmax
    if type(operation).__name__ in ("ReLU", "ELU", "LeakyReLU", "PReLU"):
        return keras.activations.relu
    return getattr(operation, "activation", None)


def _without_dropout(tensor: Any) -> Any:
    """The tensor before the dropouts that give another."""
    call = _call_of(tensor)
    while call is not None and isinstance(call.operation, DROPOUTS):
        tensor = call.input_tensors[0]
        call = _call_of(tensor)
    return tensor


def _last_map(found: Features, model: keras.Model) -> Features:
    """The map that features come from, going back through single inputs.

    Of maps of a single position, the one before the pooling that left it.
    """
    tensor, route, point = found.tensor, found.route, None
    while True:
        if len(tensor.shape) == 4:
            if not _is_point(tensor):
                return Features(tensor, route)
            point = point or Features(tensor, route)
        call = _call_of(tensor)
        if call is None or len(call.input_tensors) != 1:
            break
        if has_graph(call.operation):
            route = (*route, call)
            tensor = call.operation.outputs[0]
            continue
        tensor = call.input_tensors[0]
        kind = type(call.operation).__name__
        is_pooled = kind == "Reshape" or "Pooling" in kind
        if point and not is_pooled and not _is_point(tensor):
            break
    if point is None:
        raise ValueError(
            "replace_head: `pooling` needs a map (batch, height, width, "
            f"channels) below the head, and {model.name} has none there; "
            "pooling=None keeps the features that it has."
        )
    return point


def _is_point(tensor: Any) -> bool:
    """Whether a tensor is a map of a single position."""
    return len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) == (1, 1)


def _call_of(tensor: Any) -> Any:
    """The call that gave a tensor; `None` for an input."""
    operation, index, _ = tensor._keras_history
    is_input = operation is None or isinstance(
        operation, keras.layers.InputLayer
    )
    return None if is_input else operation._inbound_nodes[index]
