"""Folds BatchNorm into the convolution before it.

At inference `BN(conv(x))` is one convolution with other numbers:
`kernel' = kernel * gamma / sqrt(variance + epsilon)` and
`bias' = beta - mean * gamma / sqrt(variance + epsilon)`.

Fine-tuning needs it for safety, not for speed. EfficientNets carry channels
whose moving variance is nearly 0, so that BatchNorm multiplies their kernels
by up to `gamma / sqrt(epsilon)`: a step that is small for the kernel is then a
large step of the function. After folding, the optimizer moves the numbers that
really act. See `docs/fine-tuning.md` for the measurement.

Reference: Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", 2018, section 3.2.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


def fold_batch_normalization(model: "keras.Model") -> "keras.Model":
    """A copy of a model in which convolutions have absorbed their BatchNorm.

    A BatchNorm is folded where it is the only reader of a convolution or
    dense layer that has no activation of its own; others stay as they are.

    Args:
        model: A functional model.

    Returns: An independent functional model with the same layer names, less
        the folded BatchNorms. Its outputs equal the original's at inference
        up to rounding.

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

    copy = keras.models.clone_model(
        model, clone_function=clone, call_function=call
    )
    for layer in copy.layers:
        source = model.get_layer(layer.name)
        if layer.name in folded:
            layer.set_weights(_fold(source, folded[layer.name]))
        else:
            layer.set_weights(source.get_weights())
        layer.trainable = source.trainable
    return copy


def foldable(model: "keras.Model") -> dict:
    """Names of layers and the BatchNorm that each can absorb.

    Args:
        model: A functional model.

    Returns: `{layer name: BatchNormalization layer}`.
    """
    import keras

    pairs = {}
    for norm in model.layers:
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        producer = norm.input._keras_history.operation
        readers = [
            reader
            for node in getattr(producer, "_outbound_nodes", ())
            for reader in [node.operation]
            if reader in model.operations
        ]
        if _absorbs(producer, norm) and readers == [norm]:
            pairs[producer.name] = norm
    return pairs


def _absorbs(layer, norm) -> bool:
    import keras

    kinds = (
        keras.layers.Conv1D,
        keras.layers.Conv2D,
        keras.layers.Conv3D,
        keras.layers.DepthwiseConv2D,
        keras.layers.Dense,
    )
    if not isinstance(layer, kinds):
        return False
    last = len(norm.input.shape) - 1
    linear = layer.activation is keras.activations.linear
    return linear and norm.axis in (-1, last)


def _fold(layer, norm) -> list[np.ndarray]:
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
