"""Remarks on pooling that draws, where it stands in a network."""

from typing import Any

import keras

from dropzoo.models.pooling_grafts import pooling_of, spatial_axes

# Of what is not negative they make nothing that is.
KEEPS_SIGN = (
    keras.layers.Add,
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D,
    keras.layers.Concatenate,
    keras.layers.Cropping2D,
    keras.layers.Dropout,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
)
NOT_NEGATIVE = (
    "exponential",
    "hard_sigmoid",
    "relu",
    "relu6",
    "sigmoid",
    "softmax",
    "softplus",
)


def remark_on_pooling(layer: keras.Layer, call: Any) -> str:
    """What there is to know of a pooling layer that draws, in one sentence.

    Args:
        layer: A pooling layer.
        call: A call of it.

    Returns: Empty where nothing is to be said.
    """
    (tensor,) = call.input_tensors
    if pooling_of(layer) == "stochastic" and not is_never_negative(tensor):
        return "its input may be negative, which counts as 0"
    if pooling_of(layer) == "fractional" and not has_choice(layer, call):
        return "its regions divide evenly and leave nothing to draw"
    return ""


def has_choice(layer: keras.Layer, call: Any) -> bool:
    """Whether regions of fractional pooling can lie in more than one way.

    Where the ratio is whole, 2 for example, all steps between regions are
    equal.

    Args:
        layer: A layer of fractional pooling.
        call: A call of it.
    """
    sizes = [
        spatial_axes(tensor.shape, layer.layout)
        for tensor in (call.input_tensors[0], call.outputs[0])
    ]
    for length, count, window in zip(*sizes, layer.windows, strict=True):
        if length is None or count is None:
            return True
        if layer.has_windows:
            length, count = length - window, max(count - 1, 1)
        if length % count:
            return True
    return False


def is_never_negative(tensor: Any) -> bool:
    """Whether an activation before a tensor leaves nothing negative in it.

    Args:
        tensor: A symbolic tensor.
    """
    operation, index, _ = tensor._keras_history
    activation = getattr(operation, "activation", None)
    if getattr(activation, "__name__", None) in NOT_NEGATIVE:
        return True
    if isinstance(operation, keras.layers.ReLU):
        return not operation.negative_slope
    if not isinstance(operation, KEEPS_SIGN):
        return False
    inputs = operation._inbound_nodes[index].input_tensors
    return all(map(is_never_negative, inputs))
