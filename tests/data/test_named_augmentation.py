import numpy as np
import pytest
import tensorflow as tf

from dropzoo.data.named_augmentation import (
    IMAGE_CHANGES,
    MARGIN,
    NamedAugmentation,
)

SIZE = 16
every_change = pytest.mark.parametrize("name", IMAGE_CHANGES)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(1, 256, (SIZE, SIZE, 3), dtype="uint8")


def changed(names, photo, numbers) -> np.ndarray:
    """An image under many seeds, in a `tf.data` pipeline."""
    augmentation = NamedAugmentation(names, (SIZE, SIZE))
    seeds = tf.data.Dataset.range(numbers.start, numbers.stop)
    images = seeds.map(
        lambda number: augmentation(
            photo, tf.stack([tf.cast(number, "int32"), 7])
        )
    )
    return np.stack(list(images.as_numpy_iterator()))


@every_change
def test_equal_seeds_give_equal_images_in_any_order(name, photo):
    many = changed([name], photo, range(6))
    later = changed([name], photo, range(4, 6))
    np.testing.assert_array_equal(later, many[4:])
    assert len(np.unique(many.reshape(6, -1), axis=0)) > 1
    assert many.shape == (6, SIZE, SIZE, 3)
    assert many.min() >= 0
    assert many.max() <= 255


def test_a_shift_cuts_out_of_the_image_and_its_black_margin(photo):
    margin = SIZE // MARGIN
    padded = np.pad(photo, [[margin] * 2, [margin] * 2, [0, 0]])
    places = {
        padded[y : y + SIZE, x : x + SIZE].tobytes(): (y, x)
        for y in range(2 * margin + 1)
        for x in range(2 * margin + 1)
    }
    shifted = changed(["shift"], photo, range(300)).astype("uint8")
    found = {places[image.tobytes()] for image in shifted}
    # Each of 25 places is missed by 300 draws with probability 5e-6.
    assert found == set(places.values())


def test_half_of_the_images_are_mirrored(photo):
    images = changed(["flip"], photo, range(200)).astype("uint8")
    mirrored = (images == photo[:, ::-1]).all(axis=(1, 2, 3))
    kept = (images == photo).all(axis=(1, 2, 3))
    assert (mirrored | kept).all()
    assert 65 <= mirrored.sum() <= 135  # five standard deviations of 7.1


def test_erasing_leaves_the_rest_of_the_image(photo):
    images = changed(["erasing"], photo, range(60))
    share = (images == photo).all(axis=3).mean(axis=(1, 2))
    assert 0.25 < (share == 1).mean() < 0.75
    # No rectangle is larger than a third of the sides' product, and edges.
    assert share.min() > 0.4


def test_changes_are_made_in_their_order(photo):
    # Black corners of a turned image stay black, unless brightness is last.
    names = ("shift", "flip", "colour")
    images = changed(names, photo, range(3))
    other = changed(names[::-1], photo, range(3))
    assert not np.array_equal(images, other)


def test_no_change_gives_the_image_as_it_came(photo):
    image = NamedAugmentation((), (SIZE, SIZE))(tf.constant(photo), [1, 2])
    assert image.dtype == tf.uint8
    np.testing.assert_array_equal(image, photo)


def test_an_unknown_change_offers_a_close_one():
    with pytest.raises(ValueError, match="did you mean 'erasing'"):
        NamedAugmentation(["erase"], (SIZE, SIZE))


def test_a_change_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match="no change may stand twice"):
        NamedAugmentation(["flip", "shift", "flip"], (SIZE, SIZE))
