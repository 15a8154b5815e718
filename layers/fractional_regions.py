"""Where the regions of fractional pooling lie along one axis.

Each function takes the draw that its sequence follows from: float32 numbers in
[0, 1), of shape `(samples, channels, ...)`, where 1 stands for all of them. The
sequences come out as int32 with the same two axes in front. `length`, the
positions on the axis, and `count`, the regions, are integers or scalar tensors.
"""

from typing import Any, NamedTuple

from keras import ops


class Regions(NamedTuple):
    """The regions along one axis.

    Attributes:
        starts: Their first positions, `(samples, channels, count)`.
        sizes: Their numbers of positions, of the same shape or all one integer.
        smallest: At most the smallest of the sizes, an integer.
        largest: At least the largest of them.
        distinct: Whether it is sure that no two regions start at one position.
        beyond: How many positions the last region reaches over the edge.
    """

    starts: Any
    sizes: Any
    smallest: int
    largest: int
    distinct: bool = True
    beyond: int = 0


def count_regions(length, ratio: float):
    """Returns `floor(length / ratio)`.

    33 / 1.1 is 30, though floating point falls short of it.
    """
    if isinstance(length, int):
        return int(length / ratio + 1e-9)
    return ops.cast(ops.cast(length, "float64") / ratio + 1e-9, "int32")


def find_windows(draw, length, count, size: int, sequence: str) -> Regions:
    """Graham's overlapping windows of one size, from edge to edge.

    Args:
        draw: `(samples, channels, 1)`, for random sequences `(samples,
            channels, count)`; `None` for evenly spread windows.
        length: Positions on the axis, at least `count + size - 1`.
        count: Windows.
        size: Positions in a window.
        sequence: `"pseudorandom"` or `"random"`.
    """
    larger = max if isinstance(count, int) else ops.maximum
    steps = larger(count - 1, 1)  # from the first window to the last
    if draw is None:
        starts = even_boundaries(length - size, steps)
    elif sequence == "random":
        starts = random_boundaries(draw[..., :steps], length - size, steps)
    else:
        starts = pseudorandom_boundaries(draw, length - size, steps)
    return Regions(starts[..., :count], size, size, size)


def find_torch_windows(draw, length, count, size: int) -> Regions:
    """PyTorch's windows: `int(a (i + u)) - int(a u)`, the last at the edge.

    That is Graham's formula, with `a = (length - size) / (count - 1)`, but in
    float32 as PyTorch computes it, whose rounding may move a window by one.
    """
    span = ops.cast(length - size, "int32")
    gaps = ops.cast(ops.maximum(count - 1, 1), "float32")
    step = ops.cast(span, "float32") / gaps
    places = ops.arange(count - 1, dtype="float32") + draw
    starts = ops.cast(places * step, "int32") - ops.cast(draw * step, "int32")
    last = ops.zeros_like(draw, "int32") + span
    starts = ops.concatenate([starts, last], axis=-1)
    return Regions(starts, size, size, size, distinct=False)


def find_parts(
    boundaries, limits: tuple[int, int], overlapping: bool = False
) -> Regions:
    """The regions between boundaries, which cover an axis without a gap.

    Args:
        boundaries: `(samples, channels, count + 1)`, from 0 to the length.
        limits: At most the smallest and at least the largest step.
        overlapping: Whether a region has the first position of the next one.
    """
    starts = boundaries[..., :-1]
    sizes = boundaries[..., 1:] - starts + overlapping
    smallest, largest = (limit + overlapping for limit in limits)
    return Regions(starts, sizes, smallest, largest, beyond=int(overlapping))


def even_boundaries(length, count):
    """Rounds `i length / count` to the nearest integer, for i = 0 .. count."""
    return _divide(length, count, count // 2)[None, None, :]


def pseudorandom_boundaries(draw, length, count):
    """Graham's `floor(a (i + u)) - floor(a u)`, where `a = length / count`.

    All steps are `floor(a)` or `ceil(a)`, from 0 up to `length`. Computed in
    integers, which gives the same: rounding moves no boundary.
    """
    offset = ops.cast(draw * ops.cast(length, "float32"), "int32")
    return _divide(length, count, offset) - offset // count


def tensorflow_boundaries(draw, length, count):
    """TensorFlow's `ceil(a (i + u)) - 1`, with both ends put at the edges.

    The draw is taken as a share of the largest `u` for which all steps are
    `floor(a)` or one more: `a u` stays below `2 - r` and `1 + r`, where `r` is
    the fraction of `a`.
    """
    rest = length % count
    limit = ops.minimum(2 * count - rest, count + rest)
    offset = ops.cast(draw * ops.cast(limit, "float32"), "int32")
    inner = _divide(length, count, ops.minimum(offset, limit - 1))[..., 1:]
    inner = ops.minimum(inner, length)  # the last; the others are below
    return ops.pad(inner, ((0, 0), (0, 0), (1, 0)))


def random_boundaries(draw, length, count):
    """Sums steps of `floor(a)` and of one more, in random order."""
    order = ops.argsort(draw, axis=-1)  # a permutation of 0 .. count - 1
    steps = length // count + ops.cast(order < length % count, "int32")
    return ops.pad(ops.cumsum(steps, axis=-1), ((0, 0), (0, 0), (1, 0)))


def _divide(length, count, offset):
    """Returns `(i length + offset) // count` for i = 0 .. count.

    The products exceed int32 where a signal is long. Those of known lengths are
    Python's; JAX, which has no int64, knows them all.
    """
    if isinstance(length, int) and isinstance(count, int):
        pairs = [divmod(i * length, count) for i in range(count + 1)]
        whole, rest = (
            ops.convert_to_tensor(part, "int32")
            for part in zip(*pairs, strict=True)
        )
    else:
        products = ops.arange(count + 1, dtype="int64")
        products = products * ops.cast(length, "int64")
        divisor = ops.cast(count, "int64")
        whole = ops.cast(products // divisor, "int32")
        rest = ops.cast(products % divisor, "int32")
    return whole + (rest + offset) // count
