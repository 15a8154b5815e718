"""DropConnect for convolutions of images."""

from collections.abc import Callable
from typing import Literal

import keras
from keras import ops

from .drops_connections import DropsConnections
from .masked_matmul import masked_matmul


@keras.saving.register_keras_serializable(package="dropzoo")
class DropConnectConv2D(DropsConnections, keras.layers.Conv2D):
    """A `Conv2D` layer that drops single weights of its kernel in training.

    As `DropConnectDense`, with which it shares its options: `r = a((M * W)
    conv v + m * b)`. A mask is on the weights, so that all positions of an
    image meet the same mask.

    Training, by `masks`:

    - `"example"`: each image has a mask of its own. Images are cut into
      patches, which are multiplied by masked kernels in chunks of at most 2^20
      mask elements, or of one image where the kernel is larger. The patches
      take `kernel height * kernel width` times the memory of the images.
    - `"batch"`: one mask for the batch; a single convolution.
    - `"gaussian"`: each pre-activation is drawn from the normal distribution
      that has the mean and the variance which masks per example would give, by
      two convolutions. The noise at two positions is independent, where that
      of masks is not.

    Inference is that of `DropConnectDense`.

    Args:
        filters: Integer from 1. Number of output channels.
        kernel_size: Integer, or two: height and width of the kernel.
        strides: Integer, or two.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the
            one in the Keras configuration.
        dilation_rate: Integer, or two; above 1 only with strides of 1.
        groups: Integer from 1. Groups of channels that are convolved
            separately.
        activation: Name or function, `None` for a linear layer.
        rate: Float in [0, 1). Probability of dropping a connection.
        masks: `"example"`, `"batch"` or `"gaussian"`: what shares a mask.
        scale: `"training"` divides what is kept by `1 - rate`, so that
            inference by the mean is `Conv2D` itself; `"inference"`, the
            paper's, leaves it and multiplies by `1 - rate` at inference.
        inference: `"mean"` or `"gaussian"`.
        num_samples: Integer from 1. Draws for each output of Gaussian
            inference where there is no closed form; one exists at a time.
        use_bias: Whether there is a bias.
        drop_bias: Whether biases are dropped too, as the authors do.
        kernel_initializer, bias_initializer: Initial values.
        kernel_regularizer, bias_regularizer: Penalties on the weights.
        activity_regularizer: Penalty on the outputs.
        kernel_constraint, bias_constraint: Projections of the weights.
        seed: Integer or `None`.

    Input shape: `(batch, height, width, channels)`, or `(batch, channels,
        height, width)` with `data_format="channels_first"`.

    Output shape: that of `Conv2D`.

    Raises: ValueError when `rate` is outside [0, 1), `num_samples` below 1, or
        `masks`, `scale` or `inference` unknown; TypeError when `num_samples`
        is no integer; what `Conv2D` raises.

    Example:
        >>> import numpy as np
        >>> layer = DropConnectConv2D(8, 3, padding="same", rate=0.2, seed=1)
        >>> layer(np.ones((2, 5, 5, 3), "float32"), training=True).shape
        TensorShape([2, 5, 5, 8])

    Reference: Wan et al., "Regularization of Neural Networks using
        DropConnect", 2013, section 3, applied to a convolution.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: Literal["valid", "same"] = "valid",
        data_format: Literal["channels_last", "channels_first"] | None = None,
        dilation_rate: int | tuple[int, int] = (1, 1),
        groups: int = 1,
        activation: str | Callable | None = None,
        *,
        rate: float = 0.5,
        masks: Literal["example", "batch", "gaussian"] = "example",
        scale: Literal["training", "inference"] = "training",
        inference: Literal["mean", "gaussian"] = "mean",
        num_samples: int = 1000,
        use_bias: bool = True,
        drop_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
            activation=activation,
            rate=rate,
            masks=masks,
            scale=scale,
            inference=inference,
            num_samples=num_samples,
            use_bias=use_bias,
            drop_bias=drop_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            seed=seed,
            **kwargs,
        )

    def convolution_op(self, inputs, kernel):
        if inputs.shape[0] == 0:
            # With oneDNN, TensorFlow returns an empty batch as it came.
            shape = self.compute_output_shape(inputs.shape)
            return ops.zeros(shape, inputs.dtype)
        return super().convolution_op(inputs, kernel)

    def product(self, inputs, kernel):
        return self.convolution_op(inputs, kernel)

    def masked_product(self, inputs, kernel):
        self.compute_output_shape(inputs.shape)  # refuses images too small
        is_last = self.data_format == "channels_last"
        images = inputs if is_last else ops.transpose(inputs, (0, 2, 3, 1))
        patches = self._patches(images)
        batch, height, width, taps, channels = ops.shape(patches)
        groups, share = self.groups, channels // self.groups
        patches = ops.transpose(
            ops.reshape(patches, (batch, height * width, taps, groups, share)),
            (0, 3, 1, 2, 4),
        )
        kernel = ops.reshape(kernel, (taps * share, groups, -1))
        outputs = masked_matmul(
            ops.reshape(patches, (batch, groups, height * width, taps * share)),
            ops.transpose(kernel, (1, 0, 2)),
            self.rate,
            self.seed_generator,
        )  # (batch, groups, height * width, filters of a group)
        outputs = ops.reshape(
            ops.transpose(outputs, (0, 2, 1, 3)),
            (batch, height, width, self.filters),
        )
        return outputs if is_last else ops.transpose(outputs, (0, 3, 1, 2))

    def _patches(self, images):
        """What every element of the kernel meets at every position."""
        _, height, width, _ = ops.shape(images)
        vertical, rows = self._geometry(height, 0)
        horizontal, columns = self._geometry(width, 1)
        images = ops.pad(images, [[0, 0], vertical, horizontal, [0, 0]])
        patches = [images[:, row, column] for row in rows for column in columns]
        return ops.stack(patches, axis=3)  # (..., taps, channels)

    def _geometry(self, size, axis):
        """The padding of an axis, and the slice that each tap reads of it."""
        stride, dilation = self.strides[axis], self.dilation_rate[axis]
        taps = self.kernel_size[axis]
        span = (taps - 1) * dilation + 1
        missing = 0
        if self.padding == "same":
            missing = (-(-size // stride) - 1) * stride + span - size
            # Not below 0; `max` takes no symbolic size.
            missing = (missing + abs(missing)) // 2
        reach = (size + missing - span) // stride * stride + 1
        slices = [
            slice(tap * dilation, tap * dilation + reach, stride)
            for tap in range(taps)
        ]
        return [missing // 2, missing - missing // 2], slices
