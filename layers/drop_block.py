"""DropBlock: dropout of whole squares of a feature map."""

from typing import Literal

import keras
from keras import ops

from ._arguments import check_choice, check_integer, check_rate

NEWTON_STEPS = 4  # the share is then within 1e-4 of any rate up to 0.99


@keras.saving.register_keras_serializable(package="dropzoo")
class DropBlock2D(keras.layers.Layer):
    """Drops squares of `block_size` cells, so that a neighbour cannot tell.

    Cells of a feature map resemble their neighbours: dropout of single cells
    takes little information away. In training, blocks are seeded at random
    wherever they fit on the map, overlapping as they fall; what they cover
    becomes 0, and the rest is divided by the share that survived, taken over
    the whole batch as the paper does: samples of a batch share one scale.
    Inference is the identity.

    `rate` is the expected share of dropped cells, exactly. A cell that blocks
    can cover in `c` ways survives with probability `(1 - gamma)^c`, and the
    seed probability `gamma` is solved so that the mean over the map is
    `1 - rate`. The paper's `gamma = rate H W / (b^2 (H-b+1) (W-b+1))` takes
    overlapping blocks for disjoint ones, and drops less.

    With `warmup_steps` the rate rises in a line from 0, over that many calls
    in training. They are counted in a non-trainable integer, saved with the
    weights, so that training goes on where it stopped. It is one more entry
    of `weights` and of `count_params()`; without warm-up there is none.

    Args:
        rate: Float in [0, 1). Expected share of dropped cells; the paper uses
            0.1 on ImageNet.
        block_size: Integer from 1. Side of a block; 1 is dropout. An axis
            that is shorter than a block is covered whole.
        per: `"channel"` draws blocks for each channel (the paper's better
            choice), `"sample"` the same ones for all channels of a sample,
            which is cheaper.
        warmup_steps: Integer from 0. Calls in training until `rate` is
            reached.
        data_format: `"channels_last"`, `"channels_first"` or `None` for the
            one that Keras is configured with.
        seed: Integer or `None`. Layers of one network need different seeds.

    Input shape: `(batch, height, width, channels)`, or
        `(batch, channels, height, width)` with `channels_first`.

    Output shape: same as input.

    Raises: ValueError when an argument is out of range, TypeError when an
        integer is none.

    Example:
        >>> import numpy as np
        >>> maps = np.ones((2, 14, 14, 8), "float32")
        >>> DropBlock2D(0.1)(maps, training=True).shape
        TensorShape([2, 14, 14, 8])

    Reference: Ghiasi et al., "DropBlock: A regularization method for
        convolutional networks", 2018, section 3, algorithm 1.
    """

    def __init__(
        self,
        rate: float,
        *,
        block_size: int = 7,
        per: Literal["channel", "sample"] = "channel",
        warmup_steps: int = 0,
        data_format: Literal["channels_last", "channels_first"] | None = None,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_rate(self, rate)
        check_integer(self, "block_size", block_size, 1)
        check_choice(self, "per", per, "channel", "sample")
        check_integer(self, "warmup_steps", warmup_steps, 0)
        layout = data_format or keras.config.image_data_format()
        check_choice(
            self, "data_format", layout, "channels_last", "channels_first"
        )
        self.rate = rate
        self.block_size = block_size
        self.per = per
        self.warmup_steps = warmup_steps
        self.data_format = data_format
        self.seed = seed
        self._layout = layout
        self._channels_first = layout == "channels_first"
        self.input_spec = keras.InputSpec(ndim=4)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape):
        if self.warmup_steps:
            self.training_calls = self.add_weight(
                name="training_calls",
                shape=(),
                dtype="int",
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
            )

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        kept = ops.logical_not(self._draw_blocks(ops.shape(inputs)))
        share = ops.mean(ops.cast(kept, "float32"))
        # Where all is dropped: 0 / 0 would come back in the gradient.
        scale = 1 / ops.where(share > 0, share, 1)
        return ops.where(kept, inputs * ops.cast(scale, inputs.dtype), 0)

    def _draw_blocks(self, shape):
        """Marks what the blocks cover; one channel wide with per="sample"."""
        axes = (2, 3) if self._channels_first else (1, 2)
        starts, pads = list(shape), [(0, 0)] * 4
        for axis in axes:
            starts[axis] = _count_starts(shape[axis], self.block_size)
            pads[axis] = (self.block_size - 1, shape[axis] - starts[axis])
        if self.per == "sample":
            starts[1 if self._channels_first else 3] = 1
        gamma = _seed_probability(
            self._next_rate(), *(shape[axis] for axis in axes), self.block_size
        )
        # Drawn in float32: gamma is small, and halves are coarse.
        draw = keras.random.uniform(
            starts, dtype="float32", seed=self.seed_generator
        )
        # A cell is covered where the square up and to the left of it holds a
        # seed. Rows, then columns: two narrow windows are cheaper than one.
        marks = ops.pad(ops.cast(draw < gamma, "float32"), pads)
        for window in ((self.block_size, 1), (1, self.block_size)):
            marks = ops.max_pool(marks, window, 1, data_format=self._layout)
        return marks > 0

    def _next_rate(self):
        """The rate of this call, which is counted."""
        if not self.warmup_steps:
            return self.rate
        calls = self.training_calls
        rate = self.rate * ops.cast(calls, "float32") / self.warmup_steps
        calls.assign(ops.minimum(calls + 1, self.warmup_steps))
        return rate

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "block_size": self.block_size,
            "per": self.per,
            "warmup_steps": self.warmup_steps,
            "data_format": self.data_format,
            "seed": self.seed,
        }


def _seed_probability(rate, height, width, block_size):
    """The probability of a seed with which blocks drop `rate` of a map.

    A cell that `c` seeds can reach survives with probability exp(-c t), where
    t = -log(1 - gamma). Newton's method solves log mean exp(-c t) =
    log(1 - rate), a convex function of t: from t = 0 it never overshoots, and
    its first step is, to first order in `rate`, the paper's gamma.
    """
    reach = ops.outer(  # (height, width)
        _count_covers(height, block_size), _count_covers(width, block_size)
    )
    log_keep = ops.log1p(-ops.convert_to_tensor(rate, "float32"))
    t = 0.0
    for _ in range(NEWTON_STEPS):
        survive = ops.exp(-reach * t)
        mean = ops.mean(survive)
        t += (ops.log(mean) - log_keep) * mean / ops.mean(reach * survive)
    return -ops.expm1(-t)


def _count_starts(size, block_size):
    """In how many places along an axis a block can start."""
    room = size - block_size + 1
    return max(room, 1) if isinstance(room, int) else ops.maximum(room, 1)


def _count_covers(size, block_size):
    """From how many of these places it covers each cell of the axis."""
    cells = ops.arange(size)
    covers = ops.minimum(cells + 1, size - cells)
    for limit in (block_size, _count_starts(size, block_size)):
        covers = ops.minimum(covers, limit)
    return ops.cast(covers, "float32")
