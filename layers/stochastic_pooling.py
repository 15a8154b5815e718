"""Stochastic pooling: each region gives one activation, drawn by its size."""

import itertools
import operator
from collections.abc import Sequence
from typing import Literal

import keras
from keras import ops

from .pooling_windows import (
    PoolingAxis,
    fill_windows,
    scatter_to_windows,
    split_windows,
)


def _activations(x):
    """As if a ReLU came first; wide enough for the sums of half precision."""
    wide = keras.backend.result_type(x.dtype, "float32")
    return ops.cast(ops.relu(x), wide)


def _choose(views, draw):
    """Picks from `views` with probabilities `view / total`, by one draw.

    Returns the activations, and for each view where it was picked: there its
    running sum is the first above `draw * total`. An activation of 0 does not
    raise the sum and is never picked. No sum is above a threshold of 0, inf or
    nan; there nothing is picked, and the total itself comes out.
    """
    sums = list(itertools.accumulate(views))
    outputs = sums[-1]
    threshold = ops.cast(draw, outputs.dtype) * outputs
    above = [running > threshold for running in sums]
    for view, is_above in zip(reversed(views), reversed(above), strict=True):
        outputs = ops.where(is_above, view, outputs)
    picked = [now != before for before, now in itertools.pairwise(above)]
    return outputs, above[:1] + picked


class BaseStochasticPooling(keras.layers.Layer):
    """Stochastic pooling over as many axes as a subclass says with `rank`.

    The backward pass is written by hand: it needs to know only which element
    was drawn, and takes a fraction of the time of an automatic one.
    """

    rank: int

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: Literal["valid", "same"] = "valid",
        data_format: Literal["channels_last", "channels_first"] | None = None,
        *,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # A saved layer means the same where another format is the default.
        layout = data_format or keras.config.image_data_format()
        self._check_name("padding", padding, "valid", "same")
        self._check_name(
            "data_format", layout, "channels_last", "channels_first"
        )
        self.pool_size = pool_size
        self.strides = strides
        self.padding = padding
        self.data_format = data_format
        self.seed = seed
        self.windows = self._per_axis("pool_size", pool_size)
        self.steps = self._per_axis(
            "strides", pool_size if strides is None else strides
        )
        self.layout = layout
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.input_spec = keras.InputSpec(ndim=self.rank + 2)

    def _check_name(self, argument, value, *allowed):
        if value not in allowed:
            raise ValueError(
                f"{type(self).__name__}: `{argument}` must be "
                f"{' or '.join(map(repr, allowed))}. "
                f"Received: {argument}={value!r}"
            )

    def _per_axis(self, argument, value) -> tuple[int, ...]:
        rule = (
            f"{type(self).__name__}: `{argument}` must be an integer from 1, "
            f"or {self.rank} of them. Received: {argument}={value!r}"
        )
        values = (value,) * self.rank if isinstance(value, int) else value
        try:
            values = tuple(operator.index(each) for each in values)
        except TypeError:
            raise TypeError(rule) from None
        if len(values) != self.rank or min(values) < 1:
            raise ValueError(rule)
        return values

    def _axes(self, shape) -> list[PoolingAxis]:
        first = 1 if self.layout == "channels_last" else 2
        axes = [
            PoolingAxis(axis, shape[axis], window, stride, self.padding)
            for axis, window, stride in zip(
                itertools.count(first), self.windows, self.steps, strict=False
            )
        ]
        for axis in axes:
            known = self.padding == "valid" and isinstance(axis.size, int)
            if known and axis.size < axis.window:
                raise ValueError(
                    f"{type(self).__name__}: `pool_size` must fit into the "
                    f"input. Received: pool_size={self.pool_size!r} and an "
                    f"input of shape {tuple(shape)}; take a smaller window "
                    "or padding='same'"
                )
        return axes

    def call(self, inputs, training=False):
        inputs = ops.cast(inputs, self.compute_dtype)
        return self._draw(inputs) if training else self._average(inputs)

    def _draw(self, inputs):
        axes = self._axes(ops.shape(inputs))
        shape = list(ops.shape(inputs))
        for axis in axes:
            shape[axis.axis] = axis.outputs
        draw = keras.random.uniform(
            shape, dtype="float32", seed=self.seed_generator
        )

        @ops.custom_gradient
        def pool(x, draw):  # JAX wants all that is traced as an argument.
            outputs, picked = _choose(
                split_windows(x, axes, _activations), draw
            )

            def gradient(*args, upstream=None):
                if upstream is None:  # PyTorch names it, the others do not.
                    (upstream,) = args
                slope = scatter_to_windows(upstream, picked, axes)
                return slope, ops.zeros_like(draw)

            return ops.cast(outputs, x.dtype), gradient

        return pool(inputs, draw)

    def _average(self, inputs):
        """Averages the squares and the activations; their counts cancel."""
        # Padded here: Keras's `"same"` does not pad with zeros on PyTorch.
        axes = self._axes(ops.shape(inputs))
        x = fill_windows(_activations(inputs), axes)
        squares, total = (
            ops.average_pool(
                each, self.windows, self.steps, "valid", self.layout
            )
            for each in (x * x, x)
        )
        has_probabilities = (total > 0) & (total < float("inf"))
        average = squares / ops.where(has_probabilities, total, 1)
        return ops.cast(average, inputs.dtype)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        for axis in self._axes(input_shape):
            if axis.size is not None:
                shape[axis.axis] = axis.outputs
        return tuple(shape)

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.layout,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="dropzoo")
class StochasticPooling1D(BaseStochasticPooling):
    """Draws one activation of each region of a sequence, by its size.

    `StochasticPooling2D`, for sequences: training draws the element `i` with
    probability `a_i / sum(a)`, inference gives `sum(a * a) / sum(a)`.

    Args:
        pool_size: Integer from 1. Defaults to 2.
        strides: Integer from 1, or `None` for `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for
            `keras.config.image_data_format()`.
        seed: Integer or `None`.

    Input shape: `(batch, steps, channels)`, or with `"channels_first"`
        `(batch, channels, steps)`.

    Output shape: the same as of `keras.layers.MaxPooling1D`.

    Raises: as `StochasticPooling2D`.

    Example:
        >>> import numpy as np
        >>> sequence = np.array([1.0, 3.0, 2.0, 2.0]).reshape(1, 4, 1)
        >>> StochasticPooling1D()(sequence)[0, :, 0].numpy().tolist()
        [2.5, 2.0]

    Reference: Zeiler and Fergus, "Stochastic Pooling for Regularization of
        Deep Convolutional Neural Networks", 2013, section 3.
    """

    rank = 1


@keras.saving.register_keras_serializable(package="dropzoo")
class StochasticPooling2D(BaseStochasticPooling):
    """Draws one activation of each region of a map, by its size.

    In training, each sample, channel and region draws one element: `i` with
    probability `p_i = a_i / sum(a)`, the sum over the region. It is the output,
    and it alone gets the gradient. At inference the output is the average with
    these weights, `sum(p_i a_i) = sum(a_i^2) / sum(a_i)`.

    The probabilities need activations from 0, such as a ReLU gives. Others are
    taken as if a ReLU came first: a negative one is never drawn, and a region
    without a positive one gives 0 and no gradient. Padding has probability 0.
    Sums are taken in float32 at least. A region whose sum is inf or nan gives
    that, and in training no gradient.

    Args:
        pool_size: Integer from 1, or 2 of them: height and width of a region.
            Defaults to 2; the paper takes 3 with `strides=2`.
        strides: Integer from 1, or 2 of them, or `None` for `pool_size`.
        padding: `"valid"` leaves out what fills no region, `"same"` pads.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for
            `keras.config.image_data_format()`.
        seed: Integer or `None`. Layers with equal seeds draw the same.

    Input shape: `(batch, height, width, channels)`, or with `"channels_first"`
        `(batch, channels, height, width)`.

    Output shape: the same as of `keras.layers.MaxPooling2D`.

    Raises: ValueError when `pool_size` or `strides` has a number below 1 or too
        many, `padding` or `data_format` is unknown, or a `"valid"` region
        exceeds the input; TypeError when a size is no integer.

    Example:
        >>> import numpy as np
        >>> region = np.array([[0.0, 1.0], [0.0, 3.0]]).reshape(1, 2, 2, 1)
        >>> layer = StochasticPooling2D(seed=1)
        >>> layer(region, training=True).numpy().item() in (1, 3)
        True
        >>> layer(region).numpy().item()  # 1/4 of 1 and 3/4 of 3
        2.5

    Reference: Zeiler and Fergus, "Stochastic Pooling for Regularization of
        Deep Convolutional Neural Networks", 2013, section 3.
    """

    rank = 2


@keras.saving.register_keras_serializable(package="dropzoo")
class StochasticPooling3D(BaseStochasticPooling):
    """Draws one activation of each region of a volume, by its size.

    `StochasticPooling2D`, for volumes: training draws the element `i` with
    probability `a_i / sum(a)`, inference gives `sum(a * a) / sum(a)`.

    Args:
        pool_size: Integer from 1, or 3 of them. Defaults to 2.
        strides: Integer from 1, or 3 of them, or `None` for `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for
            `keras.config.image_data_format()`.
        seed: Integer or `None`.

    Input shape: `(batch, depth, height, width, channels)`, or with
        `"channels_first"` `(batch, channels, depth, height, width)`.

    Output shape: the same as of `keras.layers.MaxPooling3D`.

    Raises: as `StochasticPooling2D`.

    Example:
        >>> import numpy as np
        >>> volume = np.ones((1, 4, 6, 6, 2), "float32")
        >>> StochasticPooling3D((1, 2, 2))(volume, training=True).shape
        TensorShape([1, 4, 3, 3, 2])

    Reference: Zeiler and Fergus, "Stochastic Pooling for Regularization of
        Deep Convolutional Neural Networks", 2013, section 3.
    """

    rank = 3
