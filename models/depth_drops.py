"""Layers that drop a residual branch as a whole, ours and others'.

Keras's EfficientNets use a `Dropout` whose noise is one number for each sample,
its ConvNeXt a `StochasticDepth` of its own, other packages a `DropPath`.
"""

from typing import Any

import keras

from dropzoo.layers import StochasticDepth

FOREIGN = ("StochasticDepth", "DropPath")
RATES = ("rate", "drop_path_rate", "drop_rate", "drop_prob")


def is_depth_drop(operation: Any) -> bool:
    """Whether a layer drops its whole input, for each sample or batch.

    Args:
        operation: A layer or operation.
    """
    if type(operation) is keras.layers.Dropout:
        noise = operation.noise_shape
        return noise is not None and all(size == 1 for size in noise[1:])
    return isinstance(operation, StochasticDepth) or (
        isinstance(operation, keras.Layer)
        and type(operation).__name__ in FOREIGN
        and any(name in operation.get_config() for name in RATES)
    )


def rate_name(layer: keras.Layer) -> str:
    """The argument of a layer that is its rate of dropping.

    Args:
        layer: A layer that drops.
    """
    config = layer.get_config()
    return next(name for name in RATES if name in config)


def rate_of(layer: keras.Layer) -> float:
    """The rate at which a layer drops.

    Args:
        layer: A layer that drops.
    """
    return layer.get_config()[rate_name(layer)]
