import numpy as np
import pytest
import tensorflow as tf

from dropzoo.data import (
    Augmentation,
    Examples,
    ImageError,
    evaluation_batches,
    training_batches,
)
from dropzoo.data.pipeline import image_errors, steps_per_epoch

COUNT, SIZE = 10, (8, 6)
NONE = Augmentation("none", flips=False)
LIGHT = Augmentation("light", flips=True)


def examples_of(pixels):
    count = len(pixels)
    return Examples(
        labels=np.arange(count, dtype=np.int32),
        names=[f"photo {number}" for number in range(count)],
        digests=[f"{number}" for number in range(count)],
        reader=lambda index: pixels[index],
    )


@pytest.fixture
def examples():
    """Photos of noise, each of another size; a label tells each apart."""
    rng = np.random.default_rng(0)
    return examples_of(
        [
            rng.integers(0, 256, (9 + number, 7, 3), dtype=np.uint8)
            for number in range(COUNT)
        ]
    )


def train(examples, epochs, *, batch_size=4, **options):
    """Batches of those epochs as arrays, `[(images, labels), ...]`."""
    length = COUNT // batch_size
    steps = range(epochs.start * length, epochs.stop * length)
    return train_steps(examples, steps, batch_size=batch_size, **options)


def train_steps(
    examples, steps, *, augmentation=NONE, batch_size=4, seed=3, **kw
):
    batches = training_batches(
        examples,
        SIZE,
        batch_size=batch_size,
        augmentation=augmentation,
        seed=seed,
        steps=steps,
    )
    options = tf.data.Options()
    options.threading.private_threadpool_size = kw.get("threads", 4)
    return list(batches.with_options(options).as_numpy_iterator())


def assert_equal(left, right):
    assert len(left) == len(right)
    for (images, labels), (others, other_labels) in zip(
        left, right, strict=True
    ):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(labels, other_labels)


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(4, [4, 4, 2]), (5, [5, 5]), (64, [10])]
)
def test_evaluation_gives_every_image_once_in_order(
    examples, batch_size, sizes
):
    batches = evaluation_batches(examples, SIZE, batch_size=batch_size)
    batches = list(batches.as_numpy_iterator())
    assert [len(labels) for _, labels in batches] == sizes
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    assert images.shape == (COUNT, *SIZE, 3) and images.dtype == np.uint8
    np.testing.assert_array_equal(labels, range(COUNT))
    assert labels.dtype == np.int32


def test_an_image_of_the_right_size_is_left_as_it_is():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, *SIZE, 3), dtype=np.uint8)
    ((images, _),) = evaluation_batches(examples_of(pixels), SIZE)
    np.testing.assert_array_equal(images, pixels)


def test_evaluation_can_vary_images_by_seed_and_position(examples):
    def varied(batch_size=32, **options):
        batches = evaluation_batches(
            examples, SIZE, batch_size=batch_size, augmentation=LIGHT, **options
        )
        images, labels = zip(*batches.as_numpy_iterator(), strict=True)
        np.testing.assert_array_equal(np.concatenate(labels), range(COUNT))
        return np.concatenate(images)

    first = varied()
    assert first.dtype == np.float32 and first.shape == (COUNT, *SIZE, 3)
    np.testing.assert_array_equal(first, varied(batch_size=3))
    assert (first != varied(seed=1)).any(axis=(1, 2, 3)).all()
    # What is judged on is varied otherwise than in any epoch of training.
    ((epoch_0, labels),) = train(
        examples, range(1), augmentation=LIGHT, batch_size=COUNT, seed=0
    )
    assert (first[labels] != epoch_0).any(axis=(1, 2, 3)).all()


def test_an_epoch_holds_images_once_and_leaves_others_out_each_time(examples):
    batches = train(examples, range(12))
    assert len(batches) == 12 * steps_per_epoch(COUNT, 4) == 24
    missing = set()
    for epoch in range(12):
        pair = batches[2 * epoch : 2 * epoch + 2]
        seen = np.concatenate([labels for _, labels in pair])
        assert len(seen) == len(set(seen.tolist())) == 8
        missing |= set(range(COUNT)) - set(seen.tolist())
    # An image is in all 12 epochs with probability 0.8**12 = 0.07.
    assert len(missing) >= 8


@pytest.mark.parametrize("strength", ["light", "strong"])
def test_an_epoch_alone_is_that_of_a_long_run(examples, strength):
    augmentation = Augmentation(strength, flips=True)
    long_run = train(examples, range(5), augmentation=augmentation)
    alone = train(examples, range(3, 4), augmentation=augmentation)
    assert_equal(alone, long_run[6:8])
    epoch_2 = np.concatenate([labels for _, labels in long_run[4:6]])
    epoch_3 = np.concatenate([labels for _, labels in alone])
    assert (epoch_2 != epoch_3).any()


@pytest.mark.parametrize("steps", [range(1, 3), range(3, 8), range(5, 6)])
def test_steps_from_the_middle_of_an_epoch_are_those_of_a_long_run(
    examples, steps
):
    long_run = train(examples, range(5), augmentation=LIGHT)
    part = train_steps(examples, steps, augmentation=LIGHT)
    assert_equal(part, long_run[steps.start : steps.stop])


def of_image(batches, label):
    """What the batches hold of one image."""
    return [x[list(y).index(label)] for x, y in batches if label in y]


def test_an_image_is_changed_anew_in_each_epoch(examples):
    batches = train(examples, range(3), augmentation=LIGHT, batch_size=COUNT)
    first, second, third = of_image(batches, label=0)
    assert (first != second).any() and (second != third).any()


def test_images_of_an_epoch_are_changed_differently():
    same = examples_of([np.arange(144, dtype=np.uint8).reshape(8, 6, 3)] * 6)
    ((images, _),) = train_steps(
        same, range(1), augmentation=LIGHT, batch_size=6
    )
    assert len(np.unique(images.reshape(6, -1), axis=0)) == 6


def test_threads_do_not_change_what_is_seen(examples):
    one = train(examples, range(2), augmentation=LIGHT, threads=1)
    many = train(examples, range(2), augmentation=LIGHT, threads=8)
    assert_equal(one, many)


def test_another_seed_gives_another_order_and_other_changes(examples):
    first = train(examples, range(1), augmentation=LIGHT, batch_size=COUNT)
    second = train(
        examples, range(1), augmentation=LIGHT, batch_size=COUNT, seed=4
    )
    assert (first[0][1] != second[0][1]).any()
    (image,), (other,) = of_image(first, 0), of_image(second, 0)
    assert (image != other).any()


def test_without_augmentation_images_are_those_of_evaluation(examples):
    ((images, _),) = evaluation_batches(examples, SIZE)
    ((changed, labels),) = train(examples, range(1), batch_size=COUNT)
    assert changed.dtype == np.uint8
    np.testing.assert_array_equal(changed, np.asarray(images)[labels])


def test_no_epochs_are_no_batches(examples):
    assert train(examples, range(3, 3)) == []


def test_more_images_in_a_batch_than_there_are_is_refused(examples):
    with pytest.raises(ValueError, match="batch_size=11 for 10 images"):
        train_steps(examples, range(1), batch_size=11)


def test_an_image_that_became_unreadable_is_told_as_the_source_tells_it():
    def read(index):
        raise ImageError("'a b.jpg': it cannot be read:\nPermission denied")

    examples = Examples(np.zeros(2, np.int32), ["a"] * 2, ["0"] * 2, read)
    with pytest.raises(ImageError) as error, image_errors():
        list(evaluation_batches(examples, SIZE))
    told = "'a b.jpg': it cannot be read: Permission denied"
    assert str(error.value) == told


def test_other_errors_of_tensorflow_stay_what_they_are():
    def read(index):
        raise OSError("no such device")

    examples = Examples(np.zeros(2, np.int32), ["a"] * 2, ["0"] * 2, read)
    with pytest.raises(tf.errors.OpError, match="no such device"):
        with image_errors():
            list(evaluation_batches(examples, SIZE))
