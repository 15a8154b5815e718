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
    """
    finest_first = list(levels(network))
    if freeze in finest_first:
        finest_first = finest_first[finest_first.index(freeze) + 1 :]
    before = finest_first[::-1]
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
