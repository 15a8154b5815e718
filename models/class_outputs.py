"""Whether a classifier gives logits or probabilities, and its logits."""

from typing import Any

import keras

from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import graphs, has_graph

SQUASHING = ("softmax", "sigmoid")


def gives_logits(model: keras.Model) -> bool | None:
    """Whether a model's outputs are logits of its classes.

    An output behind a softmax or sigmoid is a probability, and so is an
    average of such. Otherwise a loss of Keras tells that the model was compiled
    with; without one, a linear last layer gives logits.

    Args:
        model: A functional or Sequential model of one output.

    Returns: `None` where it cannot be told.
    """
    activation = _activation(model.outputs[0])
    if activation in SQUASHING:
        return False
    told = _takes_logits(getattr(model, "loss", None))
    return True if told is None and activation == "linear" else told


def softmax_edits(model: keras.Model, edits: Edits) -> bool:
    """Plans to leave out the softmax that a model ends in.

    Args:
        model: A functional or Sequential model of one output.
        edits: What else is to change in it; this is added.

    Returns: Whether there is one, called once only, so that the model then
        gives logits.
    """
    layer = _last_operation(model.outputs[0])
    calls = sum(graph.times_called()[id(layer)] for graph in graphs(model))
    if calls != 1 or _own_activation(layer) != "softmax":
        return False
    if not getattr(layer, "weights", ()):
        edits.removed.add(id(layer))
        return True
    new = edits.replaced.get(id(layer), layer)
    config = {**new.get_config(), "activation": "linear"}
    edits.replaced[id(layer)] = type(new).from_config(config)
    return True


def _activation(tensor: Any) -> str | None:
    """The name of the activation that gives a tensor, if that is known."""
    operation = _last_operation(tensor)
    if isinstance(operation, keras.layers.Average):
        averaged = {_activation(x) for x in operation.input}
        return averaged.pop() if len(averaged) == 1 else None
    return _own_activation(operation)


def _last_operation(tensor: Any) -> Any:
    """What gives a tensor, inside models and before layers that hand it on."""
    operation, node, index = tensor._keras_history
    if has_graph(operation):
        return _last_operation(operation.outputs[index])
    is_activation = isinstance(operation, keras.layers.Activation)
    if is_activation and _own_activation(operation) == "linear":
        return _last_operation(operation._inbound_nodes[node].input_tensors[0])
    return operation


def _own_activation(operation: Any) -> str | None:
    kind = type(operation).__name__.lower()  # `keras.ops.softmax` is a Softmax
    function = getattr(operation, "activation", None)
    return kind if kind in SQUASHING else getattr(function, "__name__", None)


def _takes_logits(loss: Any) -> bool | None:
    """Whether a loss is one of logits; a user's function tells nothing."""
    if isinstance(loss, str):
        return False  # as Keras takes the name of a loss
    if isinstance(loss, keras.losses.Loss):
        return bool(loss.get_config().get("from_logits", False))
    return None
