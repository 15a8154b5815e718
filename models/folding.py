"""Folds BatchNorm into the convolution before it.

At inference `BN(conv(x))` is one convolution with other numbers:
`kernel' = kernel * gamma / sqrt(variance + epsilon)` and
`bias' = beta - mean * gamma / sqrt(variance + epsilon)`.

Fine-tuning uses it so that the optimizer moves the numbers that act.
EfficientNets carry channels whose moving variance is nearly 0, so that
BatchNorm multiplies their kernels by up to `gamma / sqrt(epsilon)`: a step that
is small for the kernel is then a large step of the function.
`docs/fine-tuning.md` tells what else a safe fine-tuning needs.

Reference: Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", 2018, section 3.2.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def fold_batch_normalization(model: "keras.Model") -> "keras.Model":
    """A copy of a model in which convolutions have absorbed their BatchNorm.

    A BatchNorm is folded where it is the only reader of a convolution or
    dense layer that has no activation of its own; others stay as they are,
    and so do those inside an inner model.

    Args:
        model: A functional model.

    Returns: An independent functional model with the same layer names and
        `trainable` flags, less the folded BatchNorms. Its outputs equal the
        original's at inference up to rounding.

    Raises: ValueError when the model is not functional.
    """
    import keras

    if isinstance(model, keras.Sequential) or not hasattr(model, "operations"):
        raise ValueError(
            "fold_batch_normalization: `model` must be a functional "
            f"keras.Model. Received: {type(model).__name__}"
        )
    folded = foldable(model)
    absorbed = {norm.name for norm in folded.values()}

    def clone(layer):
        config = layer.get_config()
        if layer.name in folded:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer, *args, **kwargs):
        return args[0] if layer.name in absorbed else layer(*args, **kwargs)

    inputs = keras.tree.map_structure(_same_input, model.input)
    copy = keras.models.clone_model(
        model, inputs, clone_function=clone, call_function=call
    )
    for layer in copy.layers:
        source = model.get_layer(layer.name)
        if layer.name in folded:
            layer.set_weights(_fold(source, folded[layer.name]))
        else:
            layer.set_weights(source.get_weights())
    if not model.trainable:
        copy.trainable = False
    return copy


def foldable(model: "keras.Model") -> dict[str, Any]:
    """Names of layers and the BatchNorm that each can absorb.

    Args:
        model: A functional model.

    Returns: `{layer name: BatchNormalization layer}`.
    """
    import keras

    reads = Counter(id(tensor) for tensor in model.outputs)
    for operation in model.operations:
        for node in operation._inbound_nodes:
            reads.update(id(tensor) for tensor in node.input_tensors)
    pairs = {}
    for norm in model.layers:
        if type(norm) is not keras.layers.BatchNormalization:
            continue  # a user's own kind may compute something else
        tensor = norm._inbound_nodes[0].input_tensors[0]
        layer = tensor._keras_history.operation
        if (
            reads[id(tensor)] == 1
            and _is_called_plainly(norm)
            and _is_called_plainly(layer)
            and _absorbs(layer, norm)
        ):
            pairs[layer.name] = norm
    return pairs


def _same_input(tensor: Any) -> Any:
    """A new input under the old layer's name."""
    import keras

    return keras.Input(
        batch_shape=tensor.shape,
        dtype=tensor.dtype,
        name=tensor._keras_history.operation.name,
    )


def _is_called_plainly(layer: Any) -> bool:
    """Called once, and not in training mode for good."""
    calls = layer._inbound_nodes
    return len(calls) == 1 and not calls[0].arguments.kwargs.get("training")


def _absorbs(layer: Any, norm: Any) -> bool:
    import keras

    kinds = (
        keras.layers.Conv1D,
        keras.layers.Conv2D,
        keras.layers.Conv3D,
        keras.layers.DepthwiseConv2D,
        keras.layers.Dense,
    )
    if type(layer) not in kinds:
        return False
    channels_last = getattr(layer, "data_format", "") != "channels_first"
    last = len(norm.input.shape) - 1
    return (
        layer.activation is keras.activations.linear
        and channels_last
        and norm.axis in (-1, last)
        # Low-rank adapters and quantisation add variables of their own.
        and len(layer.weights) == 1 + layer.use_bias
    )


def _fold(layer: Any, norm: Any) -> list[np.ndarray]:
    import keras

    to_numpy = keras.ops.convert_to_numpy
    mean = to_numpy(norm.moving_mean).astype("float64")
    variance = to_numpy(norm.moving_variance).astype("float64")
    gamma = to_numpy(norm.gamma) if norm.scale else 1.0
    beta = to_numpy(norm.beta) if norm.center else 0.0
    factor = gamma / np.sqrt(variance + norm.epsilon)  # (channels,)
    kernel = to_numpy(layer.kernel).astype("float64")
    bias = to_numpy(layer.bias) if layer.use_bias else 0.0
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        # (height, width, channels, multiplier): both last axes make channels.
        kernel = kernel * factor.reshape(kernel.shape[2:])
    else:
        kernel = kernel * factor
    return [kernel, (bias - mean) * factor + beta]
