"""DropConnect for densely connected layers."""

import math
from collections.abc import Callable
from typing import Literal

import keras
from keras import ops

from .drops_connections import DropsConnections
from .masked_matmul import masked_matmul


@keras.saving.register_keras_serializable(package="dropzoo")
class DropConnectDense(DropsConnections, keras.layers.Dense):
    """A `Dense` layer that drops single connections in training.

    Dropout silences a unit for all that read it; DropConnect draws anew for
    each weight: `r = a((M * W) v + m * b)`, with `M` and `m` from
    Bernoulli(1 - rate).

    Training, by `masks`:

    - `"example"`, the paper's: each example has a mask of its own. The work
      grows with batch times weights, at least ten times that of `Dense`.
    - `"batch"`: one mask for the batch. Nearly as fast as `Dense`, but all
      examples see the same network, so that gradients vary more.
    - `"gaussian"`: each pre-activation is drawn from the normal distribution
      that has the mean and the variance which masks per example would give.
      Two matrix products. An approximation, good where many inputs count.

    Inference: with `inference="mean"` the output is `a(u)` at the mean of the
    pre-activation `u`. With `"gaussian"`, the paper's way, it is the mean of
    `a(u)` over `u ~ N(mean, variance)`: in closed form for `"relu"` and
    `"linear"`, over `num_samples` draws for other activations. With `p =
    1 - rate` and `scale="inference"`, mean and variance are `p (W v + b)` and
    `p (1 - p) (W^2 v^2 + b^2)`; `scale="training"` divides them by `p` and
    `p^2`.

    Memory: masks per example are made in chunks of at most 2^20 elements, or
    of one example where the kernel is larger, and not kept: a few times the
    size of the kernel, whatever the batch.

    Args:
        units: Integer from 1. Number of outputs.
        activation: Name or function, `None` for a linear layer.
        rate: Float in [0, 1). Probability of dropping a connection.
        masks: `"example"`, `"batch"` or `"gaussian"`: what shares a mask.
        scale: `"training"` divides what is kept by `1 - rate`, so that
            inference by the mean is `Dense` itself; `"inference"`, the
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

    Input shape: `(batch, ..., features)`. What lies between batch and features
        are positions: all positions of an example meet the same mask, and
        Gaussian noise of their own.

    Output shape: `(batch, ..., units)`.

    Raises: ValueError when `rate` is outside [0, 1), `num_samples` below 1, or
        `masks`, `scale` or `inference` unknown; TypeError when `num_samples`
        is no integer; NotImplementedError when asked to `quantize`.

    Example:
        >>> import numpy as np
        >>> layer = DropConnectDense(3, "relu", rate=0.5, seed=1)
        >>> layer(np.ones((2, 4), "float32"), training=True).shape
        TensorShape([2, 3])

    Reference: Wan et al., "Regularization of Neural Networks using
        DropConnect", 2013, section 3 and algorithms 1 and 2; Wang & Manning,
        "Fast dropout training", 2013, for the Gaussian.
    """

    def __init__(
        self,
        units: int,
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
            units=units,
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

    def product(self, inputs, kernel):
        return ops.matmul(inputs, kernel)

    def masked_product(self, inputs, kernel):
        batch, *positions, features = ops.shape(inputs)
        outputs = masked_matmul(
            ops.reshape(inputs, (batch, 1, math.prod(positions), features)),
            ops.expand_dims(kernel, 0),
            self.rate,
            self.seed_generator,
        )
        return ops.reshape(outputs, (batch, *positions, self.units))

    def quantize(self, mode=None, type_check=True, config=None):
        raise NotImplementedError(
            "DropConnectDense: `quantize` would lose the dropping. "
            f"Received: mode={mode!r}; copy the weights into a Dense layer and "
            "quantize that"
        )

    def get_config(self):
        config = super().get_config()
        del config["quantization_config"]  # not among our arguments
        penalty = keras.regularizers.serialize(self.activity_regularizer)
        return {**config, "activity_regularizer": penalty}
