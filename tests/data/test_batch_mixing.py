import numpy as np
import pytest
import tensorflow as tf

from dropzoo.data.batch_mixing import BatchMixing

COUNT, SIZE = 6, 8


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (COUNT, SIZE, SIZE, 3)).astype("float32")
    return images, np.eye(COUNT, dtype="float32")  # each image has its class


def mixed(names, batch, number):
    mixing = BatchMixing(names)
    seed = tf.constant([number, 5], "int32")
    return tuple(np.asarray(part) for part in mixing(*batch, seed))


def test_mixup_mixes_images_as_it_mixes_labels(batch):
    images, labels = mixed(["mixup"], batch, 1)
    # Every label is a class of its own, so that the labels are the weights.
    expected = np.tensordot(labels, batch[0], axes=1)
    np.testing.assert_allclose(images, expected, atol=1e-3)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)


def test_cutmix_pastes_and_counts_the_area(batch):
    images, labels = mixed(["cutmix"], batch, 1)
    own = (images == batch[0]).all(axis=3)
    others = [(images == image).all(axis=3) for image in batch[0]]
    assert np.any(others, axis=0).all()  # each pixel is of one of the images
    weights = labels[np.arange(COUNT), np.arange(COUNT)]
    mixed_rows = weights < 1
    assert mixed_rows.any()
    # The rectangle's edges lie anywhere between whole pixels.
    error = np.abs(weights - own.mean(axis=(1, 2)))
    assert error[mixed_rows].max() <= (2 * SIZE + 1) / SIZE**2


@pytest.mark.parametrize("names", [["mixup"], ["cutmix"], ["mixup", "cutmix"]])
def test_equal_seeds_give_equal_mixtures(batch, names):
    one, other = mixed(names, batch, 3), mixed(names, batch, 3)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
    assert not np.array_equal(one[0], mixed(names, batch, 4)[0])


def test_one_of_two_mixtures_is_drawn_for_each_batch(batch):
    pixels = batch[0].reshape(-1, 3)
    kinds = set()
    for number in range(12):  # one of them alone has a chance of 2 ** -11
        images, _ = mixed(["mixup", "cutmix"], batch, number)
        found = np.isin(images.reshape(-1, 3)[:, 0], pixels[:, 0]).all()
        kinds.add(bool(found))
    assert kinds == {True, False}


def test_an_unknown_mixture_is_refused():
    with pytest.raises(ValueError, match="did you mean 'cutmix'"):
        BatchMixing(["cutmixx"])
