import dataclasses

import numpy as np
import pytest

from dropzoo.data import load
from dropzoo.data.augmented_batches import AugmentedBatches, one_hot_batches
from dropzoo.data.pipeline import evaluation_batches, steps_per_epoch

COUNT, BATCH, EPOCHS = 22, 8, 3
LENGTH = COUNT // BATCH


@pytest.fixture(scope="module")
def digits():
    data = load("digits", limit=40)
    return data.train.subset(np.arange(COUNT))


@pytest.fixture(scope="module")
def batches(digits):
    return AugmentedBatches(
        digits,
        num_classes=10,
        size=(8, 8),
        batch_size=BATCH,
        epochs=EPOCHS,
        names=("shift", "flip", "mixup"),
        plain_epochs=1,
        seed=3,
    )


def read(batches, step=0):
    return [
        (np.asarray(images), np.asarray(labels))
        for images, labels in batches(step)
    ]


def assert_same(some, others):
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


@pytest.fixture(scope="module")
def whole(batches):
    return read(batches)


def test_shapes_and_number(batches, whole):
    assert batches.steps_per_epoch == LENGTH == steps_per_epoch(COUNT, BATCH)
    assert len(whole) == EPOCHS * LENGTH
    for images, labels in whole:
        assert images.shape == (BATCH, 8, 8, 3)
        assert images.dtype == labels.dtype == np.float32
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(1, marks=pytest.mark.slow(ci=True)),
        LENGTH + 1,
        pytest.param(2 * LENGTH, marks=pytest.mark.slow(ci=True)),
        pytest.param(2 * LENGTH + 1, marks=pytest.mark.slow(ci=True)),
    ],
)
def test_a_later_start_sees_what_it_would_have_seen(batches, whole, step):
    assert_same(read(batches, step), whole[step:])


def test_the_last_epochs_are_plain(digits, batches, whole):
    pixels = {
        digits.read(index).astype("float32").tobytes() for index in range(COUNT)
    }
    plain = [
        sum(image.tobytes() in pixels for image in images)
        for images, _ in whole
    ]
    assert plain[-LENGTH:] == [BATCH] * LENGTH
    assert sum(plain[:-LENGTH]) < BATCH
    assert set(np.unique(whole[-1][1])) == {0.0, 1.0}


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(0, marks=pytest.mark.slow(ci=True)),
        5,
        pytest.param(2 * LENGTH * 2 + 1, marks=pytest.mark.slow(ci=True)),
    ],
)
def test_parts_hold_the_images_of_the_whole_batch(batches, whole, step):
    halves = read(dataclasses.replace(batches, parts=2), step)
    images = np.concatenate([images for images, _ in halves])
    expected = np.concatenate([images for images, _ in whole])
    half = BATCH // 2
    np.testing.assert_array_equal(images, expected[step * half :])
    assert all(len(images) == half for images, _ in halves)


def test_parts_multiply_the_steps(batches):
    halves = dataclasses.replace(batches, parts=2)
    assert halves.steps_per_epoch == 2 * batches.steps_per_epoch
    assert halves.updates_per_epoch == batches.updates_per_epoch


def test_a_step_behind_the_end_is_refused(batches):
    with pytest.raises(ValueError, match="`step` must lie before the end"):
        batches(EPOCHS * LENGTH)


def test_an_unknown_change_is_refused(batches):
    with pytest.raises(ValueError, match="did you mean 'cutmix'"):
        dataclasses.replace(batches, names=("cutmixx",))


def test_labels_of_other_batches_become_rows(digits):
    images, rows = next(
        iter(one_hot_batches(evaluation_batches(digits, (8, 8)), 10))
    )
    assert images.dtype == "float32"
    assert np.asarray(rows).argmax(axis=1).tolist() == digits.labels.tolist()
