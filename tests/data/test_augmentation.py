import numpy as np
import pytest
import tensorflow as tf

from dropzoo.data import Augmentation

STRENGTHS = ["light", "strong"]


def changed(augmentation, image, count=60):
    """What becomes of an image under so many seeds."""
    seeds = tf.stack([tf.range(count), tf.fill([count], 7)], axis=1)
    return (
        tf.data.Dataset.from_tensor_slices(seeds)
        .map(lambda seed: augmentation(image, seed))
        .batch(count)
        .get_single_element()
        .numpy()
    )


@pytest.fixture(scope="module")
def ramp():
    """Dark on the left, bright on the right."""
    columns = np.linspace(60, 190, 24).astype("uint8")
    return np.broadcast_to(columns[None, :, None], (24, 24, 3))


def brighter_on_the_left(images):
    half = images.shape[2] // 2
    left, right = images[:, :, :half], images[:, :, half:]
    return left.mean((1, 2, 3)) > right.mean((1, 2, 3))


@pytest.mark.parametrize("strength", STRENGTHS)
def test_images_are_never_mirrored_where_that_is_forbidden(strength, ramp):
    images = changed(Augmentation(strength, flips=False), ramp)
    assert not brighter_on_the_left(images).any()


@pytest.mark.parametrize("strength", STRENGTHS)
def test_half_of_the_images_are_mirrored_where_that_is_allowed(strength, ramp):
    images = changed(Augmentation(strength, flips=True), ramp)
    # Five standard errors of 60 fair draws.
    share = brighter_on_the_left(images).mean()
    assert share == pytest.approx(0.5, abs=5 * np.sqrt(0.25 / 60))


@pytest.mark.parametrize("strength", STRENGTHS)
def test_every_seed_gives_another_image_of_the_same_kind(strength, ramp):
    images = changed(Augmentation(strength, flips=True), ramp)
    assert images.dtype == np.float32 and images.shape == (60, 24, 24, 3)
    assert images.min() >= 0 and images.max() <= 255
    assert len(np.unique(images.reshape(60, -1), axis=0)) == 60


def test_bright_and_dark_images_stay_in_range():
    rng = np.random.default_rng(0)
    image = rng.choice([0, 255], (24, 24, 3)).astype("uint8")
    images = changed(Augmentation("strong", flips=True), image)
    assert images.min() >= 0 and images.max() <= 255


@pytest.mark.parametrize("strength", STRENGTHS)
def test_equal_seeds_give_equal_images_whatever_was_drawn_before(
    strength, ramp
):
    augmentation = Augmentation(strength, flips=True)
    first = changed(augmentation, ramp, 8)
    tf.random.set_seed(3)
    np.testing.assert_array_equal(first, changed(augmentation, ramp, 8))
    again = Augmentation(strength, flips=True)
    np.testing.assert_array_equal(first, changed(again, ramp, 8))


def test_the_changes_of_an_image_do_not_go_together(ramp):
    # Equal draws in two layers would, say, brighten all that is mirrored.
    images = changed(Augmentation("strong", flips=True), ramp, 200)
    mirrored = brighter_on_the_left(images)
    brightness = images.mean((1, 2, 3))
    relation = np.corrcoef(mirrored, brightness)[0, 1]
    # Five standard errors of a correlation of 200 independent pairs.
    assert abs(relation) < 5 / np.sqrt(200)


def test_none_changes_nothing(ramp):
    augmentation = Augmentation("none", flips=True)
    assert augmentation(ramp, tf.constant([1, 2])) is ramp


def test_an_unknown_strength_is_refused():
    with pytest.raises(ValueError, match="'none', 'light', 'strong'. Received"):
        Augmentation("medium", flips=True)
