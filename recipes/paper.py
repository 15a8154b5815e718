"""What a paper says of how its network was trained."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule

Schedule = Callable[[float, int], "LearningRateSchedule"]


@dataclasses.dataclass(frozen=True)
class Paper:
    """A training as it was published.

    Args:
        reference: Authors, title, year and section.
        data: The source of its images.
        model: Network of the catalogue.
        epochs: Passes over the training images.
        batch_size: Images for one update of the weights.
        rate: Learning rate at the start.
        schedule: From that rate and the number of updates to a schedule.
        schedule_text: What the rate does, in words.
        published: The error that was published, in words.
        smaller: From the share in (0, 1] of the network's work to options of
            its builder, for a training on a budget.
        options: Options of the network's builder.
        image_size: Side of the images in pixels.
        momentum: Of SGD.
        nesterov: Whether it is Nesterov's momentum.
        l2: Weight decay, as `models.sgd_with_l2` has it.
        augmentation: Names of changes; see `data.augmented_batches`.
        plain_epochs: Epochs at the end without changes.
        cycles: Of the rate; epochs are a multiple of it.
        differs: What is not as published, in sentences.
    """

    reference: str
    data: str
    model: str
    epochs: int
    batch_size: int
    rate: float
    schedule: Schedule
    schedule_text: str
    published: str
    smaller: Callable[[float], Mapping[str, Any]]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    image_size: int | None = 32
    momentum: float = 0.9
    nesterov: bool = False
    l2: float = 0.0
    augmentation: tuple[str, ...] = ()
    plain_epochs: int = 0
    cycles: int = 1
    differs: str = ""


def narrower(**widths: int | tuple[int, ...]) -> Callable[[float], dict]:
    """Options that set widths; work grows with their square.

    Args:
        **widths: Width of the whole network, by the option's name.
    """

    def options(share: float) -> dict[str, Any]:
        def shrink(width: int) -> int:
            return max(1, round(width * math.sqrt(share)))

        return {
            name: shrink(width)
            if isinstance(width, int)
            else tuple(map(shrink, width))
            for name, width in widths.items()
        }

    return options


def shallower(depth: int, *, step: int, rest: int) -> Callable[[float], dict]:
    """Options that set a depth; work grows with it.

    Args:
        depth: Of the whole network, `step` n + `rest`.
        step: By how much depths differ.
        rest: What is left after those steps.
    """

    def options(share: float) -> dict[str, int]:
        blocks = max(1, round(share * (depth - rest) / step))
        return {"depth": blocks * step + rest}

    return options


def drops(shares: tuple[float, ...], factors: tuple[float, ...]) -> Schedule:
    """A rate that is multiplied by a factor from each share of the updates on.

    Args:
        shares: In (0, 1), rising.
        factors: On the first rate; one for each share.
    """

    def schedule(rate: float, updates: int) -> "LearningRateSchedule":
        from keras.optimizers.schedules import PiecewiseConstantDecay

        # Keras still has the old value at the boundary itself.
        boundaries = [max(0, round(share * updates) - 1) for share in shares]
        values = [rate, *(rate * factor for factor in factors)]
        return PiecewiseConstantDecay(boundaries, values)

    return schedule


def line(final_share: float, end: float = 1.0) -> Schedule:
    """A rate that falls along a line.

    Args:
        final_share: Of the first rate, where the line ends.
        end: Where that is, as a share of all updates; from 1 on.
    """

    def schedule(rate: float, updates: int) -> "LearningRateSchedule":
        from keras.optimizers.schedules import PolynomialDecay

        return PolynomialDecay(
            rate, round(updates * end), end_learning_rate=final_share * rate
        )

    return schedule


def named(name: str, **options: Any) -> Schedule:
    """A schedule of `dropzoo.schedules.get`.

    Args:
        name: Its name there.
        **options: Its options; a `warmup_share` of the updates among them.
    """
    warmup_share = options.pop("warmup_share", 0.0)

    def schedule(rate: float, updates: int) -> "LearningRateSchedule":
        from dropzoo import schedules

        warmup = min(round(warmup_share * updates), updates - 1)
        return schedules.get(
            name, peak=rate, steps=updates, warmup_steps=warmup, **options
        )

    return schedule
