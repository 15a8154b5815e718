"""What the layers that drop connections of their own have in common."""

from collections.abc import Callable
from typing import Literal

import keras
from keras import ops

from ._arguments import check_choice, check_integer, check_rate
from .connection_masks import draw_mask
from .expected_activation import expected_activation


class DropsConnections(keras.layers.Layer):
    """The options and formulas of DropConnect, for a layer with a kernel.

    Stands before a Keras layer among the bases of a class, which says how
    inputs meet a kernel (`product`) and how they meet one that has a mask for
    each example (`masked_product`).
    """

    activation: Callable
    product: Callable
    masked_product: Callable
    data_format = "channels_last"

    def __init__(
        self,
        *,
        rate: float,
        masks: Literal["example", "batch", "gaussian"],
        scale: Literal["training", "inference"],
        inference: Literal["mean", "gaussian"],
        num_samples: int,
        drop_bias: bool,
        seed: int | None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_rate(self, rate)
        check_choice(self, "masks", masks, "example", "batch", "gaussian")
        check_choice(self, "scale", scale, "training", "inference")
        check_choice(self, "inference", inference, "mean", "gaussian")
        check_integer(self, "num_samples", num_samples, 1)
        self.rate = rate
        self.masks = masks
        self.scale = scale
        self.inference = inference
        self.num_samples = num_samples
        self.drop_bias = drop_bias
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        # What a connection is multiplied by where it is kept, and on average.
        self._kept = 1 / (1 - rate) if scale == "training" else 1.0
        self._mean = 1.0 if scale == "training" else 1 - rate

    def call(self, inputs, training=False):
        if self.rate == 0:
            return super().call(inputs)
        if training:
            return self.activation(self._draw(inputs))
        if self.inference == "gaussian":
            return self._expect(inputs)
        if self.scale == "training":
            return super().call(inputs)
        return self.activation(self._average(inputs))

    def _draw(self, inputs):
        if self.masks == "gaussian":
            return self._draw_normal(inputs)
        if self.masks == "batch":
            count = 1
            kernel = ops.convert_to_tensor(self.kernel)
            outputs = self.product(inputs, self._mask(kernel, kernel.shape))
        else:
            count = ops.shape(inputs)[0]
            outputs = self.masked_product(inputs, self.kernel)
        outputs = outputs * self._kept
        if not self.use_bias:
            return outputs
        if not self.drop_bias:
            return outputs + self._beside(outputs, self.bias)
        bias = self._mask(self.bias * self._kept, (count, *self.bias.shape))
        return outputs + self._beside(outputs, bias)

    def _beside(self, outputs, bias):
        """A bias for the batch or for each example, laid out as outputs are."""
        ones, units = (1,) * (len(outputs.shape) - 2), bias.shape[-1]
        is_last = self.data_format == "channels_last"
        return ops.reshape(
            bias, (-1, *ones, units) if is_last else (-1, units, *ones)
        )

    def _mask(self, weights, shape):
        kept = draw_mask(shape, self.rate, self.seed_generator)
        return ops.where(kept, weights, 0)

    def _draw_normal(self, inputs):
        mean, deviation = self._moments(inputs)
        noise = keras.random.normal(
            ops.shape(mean), dtype="float32", seed=self.seed_generator
        )
        outputs = mean + deviation * ops.cast(noise, mean.dtype)
        return ops.cast(outputs, self.compute_dtype)

    def _expect(self, inputs):
        mean, deviation = self._moments(inputs)
        outputs = expected_activation(
            self.activation,
            mean,
            deviation,
            self.num_samples,
            self.seed_generator,
        )
        return ops.cast(outputs, self.compute_dtype)

    def _average(self, inputs):
        """The mean of the pre-activation."""
        outputs = self.product(inputs, self.kernel) * self._mean
        if self.use_bias:
            bias = self.bias * self._mean if self.drop_bias else self.bias
            outputs = outputs + self._beside(outputs, bias)
        return outputs

    def _moments(self, inputs):
        """Mean and standard deviation of the pre-activation, for each unit.

        Squares leave the range of half precision soon, so they are float32.
        """
        wide = keras.backend.result_type(self.compute_dtype, "float32")
        variance = self.product(
            ops.square(ops.cast(inputs, wide)),
            ops.square(ops.cast(self.kernel, wide)),
        )
        if self.use_bias and self.drop_bias:
            squares = ops.square(ops.cast(self.bias, wide))
            variance = variance + self._beside(variance, squares)
        # The root has no gradient at 0, where inputs are 0 and nothing varies.
        varies = variance > 0
        root = ops.where(varies, ops.sqrt(ops.where(varies, variance, 1)), 0)
        spread = self._kept * (self.rate * (1 - self.rate)) ** 0.5
        return ops.cast(self._average(inputs), wide), root * spread

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "masks": self.masks,
            "scale": self.scale,
            "inference": self.inference,
            "num_samples": self.num_samples,
            "drop_bias": self.drop_bias,
            "seed": self.seed,
        }
