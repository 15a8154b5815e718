"""Training batches with named changes, and labels as rows that sum to 1."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dropzoo.data.batch_mixing import BATCH_CHANGES, BatchMixing
from dropzoo.data.examples import Examples
from dropzoo.data.named_augmentation import (
    IMAGE_CHANGES,
    NamedAugmentation,
    check_names,
)
from dropzoo.data.pipeline import (
    Size,
    image_seed,
    steps_per_epoch,
    training_batches,
)

CHANGES = (*IMAGE_CHANGES, *BATCH_CHANGES)


@dataclasses.dataclass(frozen=True)
class AugmentedBatches:
    """Batches of a training from scratch, from any step of it on.

    Order, changes and mixtures follow from `(seed, epoch, position)` and
    `(seed, step)` alone: a run that starts at a later step sees what an
    uninterrupted one sees there.

    Args:
        examples: The images.
        num_classes: Number of classes.
        size: `(height, width)` that the network takes, in pixels.
        batch_size: Images for one update of the weights. The remainder of an
            epoch is left out; it is another one in each epoch.
        epochs: Passes over the images.
        names: Changes, those of `NamedAugmentation` and of `BatchMixing`.
        plain_epochs: The last so many epochs have no changes.
        parts: Number of batches that one update's images are given in, which
            must divide `batch_size`.
        seed: The run's seed.

    Raises: ValueError when a name is unknown or stands twice.
    """

    examples: Examples
    num_classes: int
    size: Size
    batch_size: int
    epochs: int
    names: Sequence[str] = ()
    plain_epochs: int = 0
    parts: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_names("augmentation", self.names, CHANGES)

    @property
    def updates_per_epoch(self) -> int:
        """Updates of the weights in an epoch."""
        return steps_per_epoch(len(self.examples), self.batch_size)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.updates_per_epoch * self.parts

    def __call__(self, step: int) -> tf.data.Dataset:
        """The batches from a step of the training on.

        Args:
            step: Batches before the first one given.

        Returns: Batches `(images, labels)`: `(batch, height, width, 3)` in
            [0, 255] and float32 `(batch, num_classes)`.
        """
        first, skipped = divmod(step, self.parts)
        length = self.updates_per_epoch
        changed = length * max(self.epochs - self.plain_epochs, 0)
        ends = (
            (self.names, first, changed),
            ((), max(first, changed), length * self.epochs),
        )
        parts = [
            self._updates(names, range(begin, end))
            for names, begin, end in ends
            if begin < end
        ]
        if not parts:
            raise ValueError(
                "AugmentedBatches: `step` must lie before the end of the "
                f"training. Received: step={step}"
            )
        batches = functools.reduce(lambda x, y: x.concatenate(y), parts)
        if self.parts > 1:
            size = self.batch_size // self.parts
            batches = batches.unbatch().batch(size, drop_remainder=True)
            batches = batches.skip(skipped)
        return batches.prefetch(2)

    def _updates(self, names: Sequence[str], steps: range) -> tf.data.Dataset:
        """Batches of `batch_size` images."""
        changes, mixtures = split_names(names)
        batches = training_batches(
            self.examples,
            self.size,
            batch_size=self.batch_size,
            augmentation=NamedAugmentation(changes, self.size),
            seed=self.seed,
            steps=steps,
        )
        mixing = BatchMixing(mixtures)

        def finish(batch: Any, step: Any) -> tuple[Any, Any]:
            images, labels = batch
            images = tf.cast(images, "float32")
            rows = tf.one_hot(labels, self.num_classes)
            if not mixing.names:
                return images, rows
            # Images have the epoch, from 0 on, where this has -2.
            return mixing(images, rows, image_seed(self.seed, -2, step))

        numbers = tf.data.Dataset.range(steps.start, steps.stop)
        return tf.data.Dataset.zip(batches, numbers).map(
            finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )


def split_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tells changes of single images from those of whole batches.

    Args:
        names: Names of both kinds.
    """
    return (
        [name for name in names if name in IMAGE_CHANGES],
        [name for name in names if name in BATCH_CHANGES],
    )


def one_hot_batches(batches: Any, num_classes: int) -> tf.data.Dataset:
    """Batches of images and labels, with labels as rows that sum to 1.

    Args:
        batches: Such as `evaluation_batches` gives.
        num_classes: Number of classes.
    """
    return batches.map(
        lambda images, labels: (
            tf.cast(images, "float32"),
            tf.one_hot(labels, num_classes),
        )
    )
