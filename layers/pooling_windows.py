"""The windows of strided pooling, taken apart place by place, and back.

The first elements of all windows make one tensor, the second ones another, and
so on. Axes are cut into whole strides, `(strides, places in a stride)`, and the
places moved to the front: taking apart then needs no gather, and going back no
scatter.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

from keras import ops


@dataclasses.dataclass(frozen=True)
class PoolingAxis:
    """The windows along one axis of a tensor, as Keras's pooling has them.

    `size` may be a tensor, and then `outputs`, `before` and `strides` are.
    """

    axis: int
    size: Any
    window: int
    stride: int
    padding: str

    @property
    def outputs(self) -> Any:
        """How many windows there are."""
        if self.padding == "same":
            return -(-self.size // self.stride)
        return (self.size - self.window) // self.stride + 1

    @property
    def before(self) -> Any:
        """How many places the padding adds in front."""
        if self.padding == "valid":
            return 0
        added = (self.outputs - 1) * self.stride + self.window - self.size
        return (added + abs(added)) // 4  # max(added, 0) // 2, of tensors too

    @property
    def overlap(self) -> int:
        """Into how many more strides than its first a window reaches."""
        return (self.window - 1) // self.stride

    @property
    def strides(self) -> Any:
        """How many strides hold all windows."""
        return self.outputs + self.overlap


def fill_windows(x, axes: Sequence[PoolingAxis]):
    """Pads with zeros, or crops, to the whole strides that hold all windows.

    Pooling with `padding="valid"` then finds the very windows.
    """
    for axis in axes:
        size = axis.strides * axis.stride
        x = _excerpt(x, axis.axis, 0, axis.before, size)
    return x


def split_windows(x, axes: Sequence[PoolingAxis], function) -> list:
    """Returns, for each place in a window, what all windows have there.

    Padding is zeros. `function` is applied to all elements on the way: on the
    copy that the cut makes anyway, it costs least.
    """
    x = fill_windows(x, axes)
    shape = list(ops.shape(x))
    for axis in reversed(axes):
        shape[axis.axis : axis.axis + 1] = [axis.strides, axis.stride]
    phases = [2 * axis.axis - axes[0].axis + 1 for axis in axes]
    rest = [i for i in range(len(shape)) if i not in phases]
    x = ops.transpose(ops.reshape(x, shape), phases + rest)
    count = math.prod(axis.stride for axis in axes)
    x = function(ops.reshape(x, [count, *(shape[i] for i in rest)]))
    return [_view(x, place, axes) for place in _places(axes)]


def _places(axes):
    return itertools.product(*(range(axis.window) for axis in axes))


def _view(x, place, axes):
    phase, windows = 0, []
    for offset, axis in zip(place, axes, strict=True):
        first, within = divmod(offset, axis.stride)
        phase = phase * axis.stride + within
        windows.append(slice(first, first + axis.outputs))
    return x[(phase, *(slice(None),) * axes[0].axis, *windows)]


def scatter_to_windows(x, picked, axes: Sequence[PoolingAxis]):
    """Puts one element for each window to the place that the window picked.

    `picked` has a mask for each place in a window. Windows longer than a stride
    are cut into pieces of one stride, which do not overlap each other; what the
    first, the second and further pieces get adds up, shifted.
    """
    masks = dict(zip(_places(axes), picked, strict=True))
    shifts = itertools.product(*(range(axis.overlap + 1) for axis in axes))
    pieces = [_scatter_piece(x, masks, axes, shift) for shift in shifts]
    x = sum(pieces[1:], start=pieces[0])
    for axis in axes:
        x = _excerpt(x, axis.axis, axis.before, 0, axis.size)
    return x


def _scatter_piece(x, masks, axes, shift):
    places = itertools.product(
        *(
            range(strides * axis.stride, (strides + 1) * axis.stride)
            for strides, axis in zip(shift, axes, strict=True)
        )
    )
    nothing = ops.zeros_like(masks[(0,) * len(axes)])  # between windows
    here = [masks.get(place, nothing) for place in places]
    # Masks are put side by side, not elements: they have a byte each.
    for axis in reversed(axes):
        here = [
            ops.stack(here[i : i + axis.stride], axis=axis.axis + 1)
            for i in range(0, len(here), axis.stride)
        ]
        x = ops.expand_dims(x, axis.axis + 1)
    x = ops.where(here[0], x, 0)  # (..., windows, stride, ...)
    for strides, axis in zip(shift, axes, strict=True):
        shape = list(ops.shape(x))
        shape[axis.axis : axis.axis + 2] = [axis.outputs * axis.stride]
        x = ops.reshape(x, shape)
        before, after = strides, axis.overlap - strides
        x = _pad(x, axis.axis, before * axis.stride, after * axis.stride)
    return x


def _excerpt(x, axis, skip, before, size):
    """Returns `size` places: zeros `before`, then `x` from `skip`, then zeros.

    A slice ends where `x` does, so that sizes need no comparison and may be
    tensors.
    """
    x = x[(slice(None),) * axis + (slice(skip, skip + size - before),)]
    return _pad(x, axis, before, size - before - ops.shape(x)[axis])


def _pad(x, axis, before, after):
    widths = [(0, 0)] * len(x.shape)
    widths[axis] = (before, after)
    return ops.pad(x, widths)
