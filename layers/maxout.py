"""Maxout: the largest of several affine maps as the activation."""

import functools

import keras
from keras import ops

from ._arguments import check_integer


@keras.saving.register_keras_serializable(package="dropzoo")
class Maxout(keras.layers.Layer):
    """Takes the maximum over groups of consecutive units or channels.

    Behind a layer with `units * num_pieces` outputs it makes a maxout layer of
    `units`: `h_i = max_j (x W_ij + b_ij)`, with `j` over the pieces of unit
    `i`. Each unit is a convex function of `num_pieces` linear pieces that the
    network learns instead of choosing: `|x|` is two pieces, `x` and `-x`.
    Training and inference are the same; the gradient goes to the largest
    piece.

    Output `i` is the maximum of inputs `i * num_pieces` to
    `(i + 1) * num_pieces - 1`. Put no ReLU before or behind it: a piece that
    is held at zero made the paper's networks worse.

    Args:
        num_pieces: Integer from 1. Pieces in each group; 1 changes nothing.
        axis: Integer other than 0. The axis of units or channels: -1 for
            dense and `channels_last` layers, 1 for `channels_first`.

    Input shape: `(batch, ...)`, any rank from 2; the size of `axis` is known
        and a multiple of `num_pieces`.

    Output shape: that of the input, with `axis` divided by `num_pieces`.

    Raises: ValueError when `num_pieces` or `axis` is out of range, or the
        input does not divide into groups; TypeError when they are no
        integers.

    Example:
        >>> import numpy as np
        >>> pieces = np.array([[1, -1, -3, 3]], "float32")
        >>> Maxout(2)(pieces).numpy().tolist()
        [[1.0, 3.0]]

    Reference: Goodfellow et al., "Maxout Networks", 2013, section 3.
    """

    def __init__(self, num_pieces: int = 2, *, axis: int = -1, **kwargs):
        super().__init__(**kwargs)
        check_integer(self, "num_pieces", num_pieces, 1)
        if not isinstance(axis, int) or axis == 0:
            raise (ValueError if axis == 0 else TypeError)(
                "Maxout: `axis` must be an integer other than 0, the axis of "
                f"the batch. Received: axis={axis!r}; -1 is that of units"
            )
        self.num_pieces = num_pieces
        self.axis = axis
        # A mask over time steps stays true when units are grouped.
        self.supports_masking = axis == -1

    def call(self, inputs):
        axis, groups = self._groups(inputs.shape)
        shape = ops.shape(inputs)
        pieces = (groups, self.num_pieces)
        grouped = ops.reshape(inputs, shape[:axis] + pieces + shape[axis + 1 :])
        # Not `ops.max`, which refuses an empty batch.
        return functools.reduce(
            ops.maximum, ops.unstack(grouped, self.num_pieces, axis=axis + 1)
        )

    def compute_output_shape(self, input_shape):
        axis, groups = self._groups(input_shape)
        return (*input_shape[:axis], groups, *input_shape[axis + 1 :])

    def _groups(self, shape):
        """The axis, counted from the front, and how many groups it holds."""
        axis = self.axis % len(shape) if self.axis < 0 else self.axis
        size = shape[axis] if 0 < axis < len(shape) else None
        if size is None or size % self.num_pieces:
            raise ValueError(
                f"Maxout: `num_pieces` must divide the size of axis "
                f"{self.axis} of the input. Received: "
                f"num_pieces={self.num_pieces}, input shape={tuple(shape)}; "
                "give the layer before it `num_pieces` times as many outputs"
            )
        return axis, size // self.num_pieces

    def get_config(self):
        return {
            **super().get_config(),
            "num_pieces": self.num_pieces,
            "axis": self.axis,
        }
