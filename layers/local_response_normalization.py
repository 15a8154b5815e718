"""Local response normalization: neighbouring channels hold each other down."""

import keras
from keras import ops

from ._arguments import check_integer


@keras.saving.register_keras_serializable(package="dropzoo")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each activation by how strong its neighbouring channels are.

    The output is `x / (bias + alpha / size * sum(x^2)) ** beta`, the sum over
    `size` adjacent channels at the same position, with the channel itself in
    the middle; beyond the first and the last channel are zeros. Training and
    inference are the same, and there are no weights. Networks before batch
    normalization have it.

    Squares are taken in float32 at least: in half precision they overflow.

    Args:
        size: Integer from 1. Number of channels in the sum.
        alpha: Float from 0. Weight of the mean square. Krizhevsky et al. weigh
            the sum: their 1e-4 at a size of 5 is 5e-4 here.
        beta: Float. The exponent.
        bias: Float above 0. Krizhevsky et al. take 2, later networks 1.
        axis: Integer. The axis of the channels.

    Input shape: any, with at least two axes.

    Output shape: same as input.

    Raises: ValueError when `size`, `alpha` or `bias` is out of range,
        TypeError when `size` is no integer.

    Example:
        >>> import numpy as np
        >>> layer = LocalResponseNormalization(size=3, alpha=3.0, beta=1.0)
        >>> print(layer(np.array([[1.0, 2.0, 3.0]])).numpy().round(3))
        [[0.167 0.133 0.214]]

    Reference: Krizhevsky et al., "ImageNet Classification with Deep
        Convolutional Neural Networks", 2012, section 3.3.
    """

    def __init__(
        self,
        size: int = 5,
        *,
        alpha: float = 1e-4,
        beta: float = 0.75,
        bias: float = 1.0,
        axis: int = -1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_integer(self, "size", size, 1)
        if not (alpha >= 0 and bias > 0):
            raise ValueError(
                "LocalResponseNormalization: `alpha` must be at least 0 and "
                f"`bias` above 0. Received: alpha={alpha!r}, bias={bias!r}"
            )
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.bias = bias
        self.axis = axis
        self.input_spec = keras.InputSpec(min_ndim=2)

    def call(self, inputs):
        wide = keras.backend.result_type(inputs.dtype, "float32")
        x = ops.moveaxis(ops.cast(inputs, wide), self.axis, -1)
        before = self.size // 2
        edges = [(0, 0)] * (len(x.shape) - 1)
        squares = ops.pad(
            ops.square(x), [*edges, (before, self.size - 1 - before)]
        )
        channels = x.shape[-1]
        total = sum(squares[..., i : i + channels] for i in range(self.size))
        x = x / (self.bias + self.alpha / self.size * total) ** self.beta
        return ops.cast(ops.moveaxis(x, -1, self.axis), inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "bias": self.bias,
            "axis": self.axis,
        }
