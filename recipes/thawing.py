"""Thaws a network level by level, from the head back.

A network's `trainable` flags count when it is compiled: to thaw in the middle
of a `fit` does nothing. So a training that thaws is a sequence of `fit`s.

Reference: Howard and Ruder, "Universal Language Model Fine-tuning for Text
Classification", 2018, section 3.3 (gradual unfreezing).
"""

from typing import NamedTuple

import keras

from dropzoo.models.freezing import levels


class Stage(NamedTuple):
    """Epochs in which the same layers train.

    Args:
        first_epoch: The first of them, from 0.
        end_epoch: The one behind the last.
        freeze: What is frozen meanwhile, in the words of `models.freeze`.
    """

    first_epoch: int
    end_epoch: int
    freeze: str


def thawing_stages(
    network: keras.Model, freeze: str, epochs: int, share: float
) -> list[Stage]:
    """Divides a training into stages that thaw one level after the other.

    Args:
        network: A network with levels.
        freeze: What stays frozen to the end: `"none"` or a level.
        epochs: Number of epochs of the training.
        share: Share of the epochs in [0, 1) that the stages before the last
            take, in equal parts. 0 gives one stage.

    Returns: The stages. One that is shorter than half an epoch is left out.

    Raises: ValueError when `freeze` is something else, and there is a share.
    """
    order = ["none", *levels(network)]  # from fine to coarse
    if not share:
        return [Stage(0, epochs, freeze)]
    if freeze not in order:
        raise ValueError(
            f"thaw_share: `freeze` must be one of {', '.join(order)} where "
            f"levels are thawed one after the other. Received: {freeze!r}"
        )
    before = order[: order.index(freeze) : -1]
    ends = [
        round(share * epochs * (number + 1) / len(before))
        for number in range(len(before))
    ]
    starts, ends = [0, *ends], [*ends, epochs]
    return [
        Stage(start, end, frozen)
        for start, end, frozen in zip(
            starts, ends, [*before, freeze], strict=True
        )
        if start < end
    ]
