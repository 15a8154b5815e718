"""What the layers of fractional pooling share: arguments, sizes and draws."""

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Literal, NoReturn

import keras
from keras import ops

from .fractional_regions import (
    Regions,
    count_regions,
    even_boundaries,
    find_parts,
    find_torch_windows,
    find_windows,
    pseudorandom_boundaries,
    random_boundaries,
    tensorflow_boundaries,
)

CHOICES: dict[str, tuple[str | None, ...]] = {
    "sequence": ("pseudorandom", "random"),
    "geometry": ("graham", "torch", "tensorflow"),
    "regions": ("batch", "sample"),
    "inference": ("fixed", "random"),
    "data_format": ("channels_last", "channels_first", None),
}


class BaseFractionalPooling(keras.layers.Layer):
    """Fractional pooling of as many axes as a subclass says with `rank`.

    A subclass pools `(batch, *spatial, channels)` in `pool(x, regions)`.
    """

    rank: int

    def __init__(
        self,
        pooling_ratio: float | Sequence[float] | None = None,
        *,
        output_size: int | Sequence[int] | None = None,
        pool_size: int | Sequence[int] = 2,
        sequence: Literal["pseudorandom", "random"] = "pseudorandom",
        overlapping: bool = True,
        geometry: Literal["graham", "torch", "tensorflow"] = "graham",
        regions: Literal["batch", "sample"] = "batch",
        inference: Literal["fixed", "random"] = "fixed",
        data_format: Literal["channels_last", "channels_first"] | None = None,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.pooling_ratio = pooling_ratio
        self.output_size = output_size
        self.pool_size = pool_size
        self.sequence = sequence
        self.overlapping = overlapping
        self.geometry = geometry
        self.regions = regions
        self.inference = inference
        self.data_format = data_format
        self.seed = seed
        # A saved layer means the same where another format is the default.
        self.layout = data_format or keras.config.image_data_format()
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.input_spec = keras.InputSpec(ndim=self.rank + 2)
        self._check_choices()
        ratio = math.sqrt(2) if pooling_ratio is None else pooling_ratio
        self.ratios = self._per_axis("pooling_ratio", ratio, float)
        self.windows = self._per_axis("pool_size", pool_size, operator.index)
        self.counts = None
        if output_size is not None:
            self.counts = self._per_axis(
                "output_size", output_size, operator.index
            )
        self._check_combinations()
        # Of one size; other regions reach from place to place of a sequence.
        self.has_windows = overlapping and geometry != "tensorflow"

    def _check_choices(self):
        for argument, allowed in CHOICES.items():
            if getattr(self, argument) not in allowed:
                self._refuse(
                    f"`{argument}` must be {' or '.join(map(repr, allowed))}",
                    argument,
                )

    def _refuse(self, rule, *arguments) -> NoReturn:
        received = (f"{name}={getattr(self, name)!r}" for name in arguments)
        raise ValueError(
            f"{type(self).__name__}: {rule}. Received: {', '.join(received)}"
        )

    def _per_axis(self, argument, value, convert) -> tuple:
        kind = "a number" if convert is float else "an integer"
        rule = (
            f"{type(self).__name__}: `{argument}` must be {kind} from 1, "
            f"or {self.rank} of them. Received: {argument}={value!r}"
        )
        values = value if isinstance(value, Sequence) else (value,) * self.rank
        try:
            values = tuple(convert(each) for each in values)
        except (TypeError, ValueError):
            raise TypeError(rule) from None
        if len(values) != self.rank or not all(each >= 1 for each in values):
            raise ValueError(rule)
        return values

    def _check_combinations(self):
        if self.pooling_ratio is not None and self.counts is not None:
            self._refuse(
                "`pooling_ratio` or `output_size` must be None",
                "pooling_ratio",
                "output_size",
            )
        if self.geometry == "tensorflow" and set(self.windows) != {2}:
            self._refuse(
                "`pool_size` must be left at 2 where `geometry` is "
                "'tensorflow', whose regions are as large as their sequence",
                "pool_size",
            )
        is_plain = self.overlapping and self.sequence == "pseudorandom"
        if self.geometry == "torch" and not is_plain:
            self._refuse(
                "where `geometry` is 'torch', `sequence` must be "
                "'pseudorandom' and `overlapping` True",
                "sequence",
                "overlapping",
            )
        exceeds = any(map(operator.gt, self.ratios, self.windows))
        if self.geometry == "graham" and self.counts is None and exceeds:
            self._refuse(
                "`pooling_ratio` must not exceed `pool_size`, or windows "
                "leave gaps",
                "pooling_ratio",
                "pool_size",
            )

    def call(self, inputs, training=False):
        x = ops.cast(inputs, self.compute_dtype)
        if self.layout == "channels_first":
            x = ops.moveaxis(x, 1, -1)
        is_random = training or self.inference == "random"
        x = self.pool(x, self.find_regions(ops.shape(x), is_random))
        return ops.moveaxis(x, -1, 1) if self.layout == "channels_first" else x

    def find_regions(self, shape, is_random) -> list[Regions]:
        """The regions of each axis of a shape, channels last."""
        batch, *lengths, channels = shape
        counts = [self._count(axis, n) for axis, n in enumerate(lengths)]
        draws = [None] * self.rank
        if is_random:
            samples = batch if self.regions == "sample" else 1
            images = channels if self.geometry == "torch" else 1
            draws = self._draw(samples, images, counts)
        axes = range(self.rank)
        return list(map(self._find_along, axes, draws, lengths, counts))

    def _draw(self, samples, images, counts):
        """For each axis `(samples, images, 1 or count)` numbers in [0, 1).

        Drawn at once, and in float32: half precision has too few values.
        """
        numbers = counts if self.sequence == "random" else [1] * self.rank
        draw = keras.random.uniform(
            (samples, images, sum(numbers)),
            dtype="float32",
            seed=self.seed_generator,
        )
        stops = itertools.accumulate(numbers)
        return [
            draw[..., stop - number : stop]
            for number, stop in zip(numbers, stops, strict=True)
        ]

    def _find_along(self, axis, draw, length, count) -> Regions:
        window = self.windows[axis]
        if self.geometry == "torch" and draw is not None:
            return find_torch_windows(draw, length, count, window)
        if self.has_windows:
            return find_windows(draw, length, count, window, self.sequence)
        limits = self._limit_steps(axis, length, count)
        if draw is None:
            boundaries = even_boundaries(length, count)
        elif self.sequence == "random":
            boundaries = random_boundaries(draw, length, count)
        elif self.geometry == "tensorflow":
            boundaries = tensorflow_boundaries(draw, length, count)
        else:
            boundaries = pseudorandom_boundaries(draw, length, count)
        return find_parts(boundaries, limits, self.overlapping)

    def _count(self, axis, length):
        """How many regions an axis gets; `None` where that is not known yet."""
        if self.counts is not None:
            count = self.counts[axis]
        elif length is None:
            return None
        else:
            count = count_regions(length, self.ratios[axis])
        if isinstance(length, int):
            self._check_fit(length, count, self.windows[axis])
        return count

    def _check_fit(self, length, count, window):
        most = length - window + 1 if self.has_windows else length
        least = length // window if self.geometry == "graham" else 1
        if not max(least, 1) <= count <= most:
            self._refuse(
                f"an axis of length {length} has room for {max(least, 1)} to "
                f"{most} regions, not for {count}"
                if most > 0
                else f"an axis of length {length} is shorter than a region",
                "pooling_ratio",
                "output_size",
                "pool_size",
            )

    def _limit_steps(self, axis, length, count) -> tuple[int, int]:
        """At most the smallest step between regions, at least the largest."""
        if isinstance(length, int) and isinstance(count, int):
            return length // count, -(-length // count)
        if self.counts is not None:
            self._refuse(
                "`output_size` needs an input of known size, where regions "
                "differ in size",
                "output_size",
                "geometry",
                "overlapping",
            )
        ratio = self.ratios[axis]
        return math.floor(ratio), math.ceil(2 * ratio)  # of a single region

    def compute_output_shape(self, input_shape):
        first = 1 if self.layout == "channels_last" else 2
        shape = list(input_shape)
        for axis in range(self.rank):
            shape[first + axis] = self._count(axis, shape[first + axis])
        return tuple(shape)

    def get_config(self):
        return {
            **super().get_config(),
            "pooling_ratio": self.pooling_ratio,
            "output_size": self.output_size,
            "pool_size": self.pool_size,
            "sequence": self.sequence,
            "overlapping": self.overlapping,
            "geometry": self.geometry,
            "regions": self.regions,
            "inference": self.inference,
            "data_format": self.layout,
            "seed": self.seed,
        }
