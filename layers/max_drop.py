"""Max-Drop: dropout that aims at the largest activations."""

import math
from typing import Literal

import keras
from keras import ops

from ._arguments import check_choice, check_integer, check_rate


@keras.saving.register_keras_serializable(package="dropzoo")
class MaxDrop(keras.layers.Layer):
    """Drops the largest activation of a map, or of a position, at random.

    The features on which a network leans most are the large ones; without
    them it must find others. In training, with probability `rate`:

    - `mode="feature"`: in each map (of one sample and channel) the maximum
      becomes 0, with the square of `block_size` around it;
    - `mode="channel"`: at each position the largest channel becomes 0.

    All else is divided by `1 - rate * share`, where `share` is the part of the
    map or position that was in danger: `1 / channels`, or the cells of the
    square that lie on the map, over all its cells. The expected sum of the
    mask is thus its size, at the edges too. The expected sum of a map is not
    kept, since what falls is above the average. Inference is the identity.

    Ties fall to the first in row-major order, one alone. The maximum of a
    negative map is its largest value like any other. What is dropped becomes
    0 whatever it was, inf too; which cell counts as the maximum of a map that
    holds nan depends on the backend.

    Args:
        rate: Float in [0, 1). Probability of dropping; the authors' default
            is 0.1.
        mode: `"feature"` or `"channel"`: where the maximum is looked for.
        block_size: Integer from 1. Side of the square around the maximum, for
            `mode="feature"`; an even one reaches one cell further down and to
            the right. Squares are clipped at the edges.
        data_format: `"channels_last"`, `"channels_first"` or `None` for the
            one that Keras is configured with.
        seed: Integer or `None`. Layers of one network need different seeds.

    Input shape: `(batch, ..., channels)` or `(batch, channels, ...)`, with any
        number of spatial axes; at least one for `mode="feature"`.

    Output shape: same as input.

    Raises: ValueError when an argument is out of range, or `block_size` is
        given for `mode="channel"`; TypeError when it is no integer.

    Example:
        >>> import numpy as np
        >>> maps = np.ones((2, 8, 8, 16), "float32")
        >>> MaxDrop(0.2, block_size=3)(maps, training=True).shape
        TensorShape([2, 8, 8, 16])

    Reference: Park and Kwak, "Analysis on the Dropout Effect in Convolutional
        Neural Networks", 2016, on max-drop.
    """

    def __init__(
        self,
        rate: float,
        *,
        mode: Literal["feature", "channel"] = "feature",
        block_size: int = 1,
        data_format: Literal["channels_last", "channels_first"] | None = None,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_rate(self, rate)
        check_choice(self, "mode", mode, "feature", "channel")
        check_integer(self, "block_size", block_size, 1)
        if mode == "channel" and block_size != 1:
            raise ValueError(
                "MaxDrop: `block_size` must be 1 with mode='channel', for "
                "channels have no neighbours. "
                f"Received: block_size={block_size!r}; use mode='feature'"
            )
        layout = data_format or keras.config.image_data_format()
        check_choice(
            self, "data_format", layout, "channels_last", "channels_first"
        )
        self.rate = rate
        self.mode = mode
        self.block_size = block_size
        self.data_format = data_format
        self.seed = seed
        self._channels_first = layout == "channels_first"
        self.input_spec = keras.InputSpec(min_ndim=2 + (mode == "feature"))
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        axes = list(range(1, len(inputs.shape)))
        channel_axis = axes.pop(0 if self._channels_first else -1)
        if self.mode == "channel":
            axes = [channel_axis]
        endangered = self._around_maximum(inputs, axes)
        share = ops.mean(ops.cast(endangered, "float32"), axes, keepdims=True)
        scale = 1 / (1 - self.rate * share)
        shape = [
            1 if axis in axes else size
            for axis, size in enumerate(ops.shape(inputs))
        ]
        # Drawn in float32: bfloat16 has too few values for a fine rate.
        draw = keras.random.uniform(
            shape, dtype="float32", seed=self.seed_generator
        )
        return ops.where(
            ops.logical_and(endangered, draw < self.rate),
            0,
            inputs * ops.cast(scale, inputs.dtype),
        )

    def _around_maximum(self, inputs, axes):
        """Marks the first maximum over `axes`, and the cells around it."""
        shape = ops.shape(inputs)
        before, after = shape[: axes[0]], shape[axes[-1] + 1 :]
        # Not -1, which an empty batch leaves open.
        cells = math.prod(shape[axis] for axis in axes)
        flat = ops.reshape(inputs, (*before, cells, *after))
        index = ops.reshape(
            ops.argmax(flat, axis=axes[0]), (*before, *[1] * len(axes), *after)
        )
        marks = True
        for axis in reversed(axes):
            line = [1] * len(shape)
            line[axis] = shape[axis]
            offset = ops.reshape(ops.arange(shape[axis]), line)
            offset = offset - index % shape[axis]
            index = index // shape[axis]
            near = ops.logical_and(
                offset >= -((self.block_size - 1) // 2),
                offset <= self.block_size // 2,
            )
            marks = ops.logical_and(marks, near)
        return marks

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "mode": self.mode,
            "block_size": self.block_size,
            "data_format": self.data_format,
            "seed": self.seed,
        }
