"""Images of a search in any form become what the pipeline reads."""

import numpy as np
import pytest

from dropzoo.search.trial_images import as_examples

GREY = np.arange(3 * 4 * 5, dtype="uint8").reshape(3, 4, 5)
LABELS = np.array([[2], [0], [1]])


def test_grey_images_become_rgb():
    examples = as_examples(GREY, LABELS)
    assert examples.labels.tolist() == [2, 0, 1]
    for channel in range(3):
        np.testing.assert_array_equal(examples.read(1)[..., channel], GREY[1])


def test_shares_become_bytes():
    examples = as_examples(GREY[..., np.newaxis] / 255, LABELS)
    np.testing.assert_array_equal(examples.read(2)[..., 0], GREY[2])


def test_batches_are_read():
    batches = [(GREY[:2], LABELS[:2]), (GREY[2:], LABELS[2:])]
    examples = as_examples(batches)
    assert len(examples) == 3
    np.testing.assert_array_equal(examples.read(2)[..., 0], GREY[2])


def test_examples_stay():
    examples = as_examples(GREY, LABELS)
    assert as_examples(examples) is examples


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (GREY, None, "Received: none for 3 images"),
        (GREY, LABELS[:2], "Received: 2 labels for 3 images"),
        ([(GREY, LABELS)], LABELS, "`y` must be left out"),
        (GREY[0], [0, 0, 1, 1], r"must have shape \(n, height"),
        (GREY - 300.0, LABELS, "finite pixel values"),
    ],
)
def test_what_is_no_image_is_refused(x, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        as_examples(x, y)
