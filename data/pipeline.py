"""Streams images from a source to a network, one batch at a time."""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from dropzoo.data.decoding import ImageError
from dropzoo.data.examples import Examples
from dropzoo.models.preprocessing import resizing

Size = tuple[int, int]
ImageChange = Callable[[Any, Any], Any]  # of an image, by a seed


def evaluation_batches(
    examples: Examples,
    size: Size,
    *,
    batch_size: int = 32,
    augmentation: ImageChange | None = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Images in the order of the split, once.

    Args:
        examples: The images.
        size: `(height, width)` that the network takes, in pixels.
        batch_size: Images in a batch; the last may be smaller.
        augmentation: How to vary each image. Defaults to not at all.
        seed: Of the variation, which follows from it and the position.

    Returns: Batches `(images, labels)`: uint8 `(batch, height, width, 3)`,
        resized by the rule of the saved model, and int32 `(batch,)`. Varied
        images are float32 in [0, 255].
    """
    read = _reader(examples, size)

    def change(index):
        image, label = read(index)
        if augmentation is None:
            return image, label
        return augmentation(image, image_seed(seed, -1, index)), label

    return (
        tf.data.Dataset.range(len(examples))
        .map(change, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size)
        .prefetch(2)
    )


def training_batches(
    examples: Examples,
    size: Size,
    *,
    batch_size: int,
    augmentation: ImageChange,
    seed: int,
    steps: range,
) -> tf.data.Dataset:
    """Shuffled, augmented images, epoch after epoch.

    Order and augmentation follow from `(seed, epoch, position)` alone: a run
    that starts at a later step sees what an uninterrupted one sees there.

    Args:
        examples: The images.
        size: `(height, width)` that the network takes, in pixels.
        batch_size: Images in a batch. The remainder of an epoch is left out;
            it is another one in each epoch.
        augmentation: What to do to each image.
        seed: The run's seed.
        steps: Which steps to give, `steps_per_epoch` of them in each epoch:
            `range(3 * n, 10 * n)` begins after three epochs of n steps.

    Returns: Batches `(images, labels)`, one for each step.
    """
    read = _reader(examples, size)
    length = steps_per_epoch(len(examples), batch_size)
    first, skipped = divmod(steps.start, length)

    def one_epoch(epoch):
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(examples), dtype="int64"),
            seed=tf.stack([tf.constant(seed, "int64"), epoch]),
        )
        begin = tf.where(epoch == first, skipped, 0) * batch_size
        used = order[begin : length * batch_size]
        return tf.data.Dataset.from_tensor_slices(used).map(
            lambda index: (epoch, index)
        )

    def change(epoch, index):
        image, label = read(index)
        return augmentation(image, image_seed(seed, epoch, index)), label

    return (
        tf.data.Dataset.range(first, -(-steps.stop // length))
        .flat_map(one_epoch)
        .take(len(steps) * batch_size)
        .map(change, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size, drop_remainder=True)
        .prefetch(2)
    )


def image_seed(seed: int, epoch, index) -> tf.Tensor:
    """The seed of one image in one epoch, int32 `(2,)`.

    Args:
        seed: The run's seed.
        epoch: The epoch, from 0; below that, another stream.
        index: The image's position.
    """
    pair = tf.stack([tf.constant(seed, "int64"), tf.cast(epoch, "int64")])
    folded = tf.random.experimental.stateless_fold_in(pair, index)
    return tf.cast(folded, "int32")


def steps_per_epoch(num_images: int, batch_size: int) -> int:
    """Whole batches in an epoch, at least one.

    Args:
        num_images: Number of training images.
        batch_size: Images in a batch.

    Raises: ValueError when there are fewer images than one batch.
    """
    if num_images < batch_size:
        raise ValueError(
            "training_batches: `batch_size` must not exceed the number of "
            f"training images. Received: batch_size={batch_size} for "
            f"{num_images} images"
        )
    return num_images // batch_size


@contextlib.contextmanager
def image_errors() -> Iterator[None]:
    """Words an unreadable image as the source did, not as TensorFlow does.

    For code that goes through the batches of this file: TensorFlow wraps what
    a source raises into an error of its own, with a traceback inside.

    Raises: ImageError when an image became unreadable since it was checked.
    """
    try:
        yield
    except tf.errors.OpError as error:
        told = re.search(r"ImageError: (.*?)\s*Traceback", error.message, re.S)
        if told is None:
            raise
        raise ImageError(" ".join(told[1].split())) from None


def _reader(examples: Examples, size: Size) -> Callable:
    resize = resizing(*size)
    labels = tf.constant(examples.labels, "int32")

    def read(index):
        image = tf.numpy_function(examples.read, [index], tf.uint8)
        image.set_shape((None, None, 3))
        return resize(image), labels[index]

    return read
