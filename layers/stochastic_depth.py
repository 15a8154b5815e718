"""Stochastic depth as a mask on the residual branch."""

from typing import Literal

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dropzoo")
class StochasticDepth(keras.layers.Layer):
    """Drops its whole input at random, per sample or per batch.

    Placed at the end of a residual branch `f`, it trains a network of random
    depth: `y = x + b f(x)` with `b` drawn from Bernoulli(1 - rate). With
    `scale="training"` the survivors are divided by `1 - rate`, so that the
    layer is the identity at inference. With `scale="inference"`, the paper's
    way, training leaves survivors as they are and inference multiplies by
    `1 - rate`.

    The mask saves no time: the branch is computed all the same, and
    `StochasticResidual` is the layer that skips it. As it is a product, what
    is `nan` or infinite in the branch is `nan` where it is dropped.

    Args:
        rate: Float in [0, 1). Probability of dropping the branch.
        per: `"sample"` draws for each sample (EfficientNet, timm), `"batch"`
            once for each batch (the paper).
        scale: `"training"` or `"inference"`: where the rate is made up for.
        seed: Integer or `None`. Layers of one network need different seeds:
            with equal ones all blocks would be dropped together.

    Input shape: `(batch, ...)`, any rank from 1.

    Output shape: same as input.

    Raises: ValueError when `rate` is outside [0, 1), or `per` or `scale` is
        unknown.

    Example:
        >>> import numpy as np
        >>> branch = np.ones((2, 4, 4, 8), "float32")
        >>> StochasticDepth(0.2)(branch).shape
        TensorShape([2, 4, 4, 8])

    Reference: Huang et al., "Deep Networks with Stochastic Depth", 2016,
        section 3, equations 2 and 5.
    """

    def __init__(
        self,
        rate: float,
        *,
        per: Literal["sample", "batch"] = "sample",
        scale: Literal["training", "inference"] = "training",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(
                "StochasticDepth: `rate` must be in [0, 1). "
                f"Received: rate={rate!r}"
            )
        if per not in ("sample", "batch"):
            raise ValueError(
                "StochasticDepth: `per` must be 'sample' or 'batch'. "
                f"Received: per={per!r}"
            )
        if scale not in ("training", "inference"):
            raise ValueError(
                "StochasticDepth: `scale` must be 'training' or 'inference'. "
                f"Received: scale={scale!r}"
            )
        self.rate = rate
        self.per = per
        self.scale = scale
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs, training=False):
        if self.rate == 0:
            return inputs
        keep = 1 - self.rate
        if not training:
            return inputs * keep if self.scale == "inference" else inputs
        count = ops.shape(inputs)[0] if self.per == "sample" else 1
        shape = (count,) + (1,) * (len(inputs.shape) - 1)
        # Drawn in float32: bfloat16 has too few values for a fine rate.
        draw = keras.random.uniform(
            shape, dtype="float32", seed=self.seed_generator
        )
        gate = ops.cast(draw < keep, inputs.dtype)  # (batch or 1, 1, ...)
        if self.scale == "training":
            gate = gate / keep
        return inputs * gate

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "per": self.per,
            "scale": self.scale,
            "seed": self.seed,
        }
