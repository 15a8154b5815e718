import hashlib

import numpy as np
import pytest

from dropzoo.data import Examples, concatenate


def examples(start: int, count: int) -> Examples:
    """Images whose every pixel is their number."""
    numbers = range(start, start + count)
    return Examples(
        labels=np.arange(count, dtype=np.int32) % 2,
        names=[f"image {number}" for number in numbers],
        digests=[hashlib.sha256(bytes([n])).hexdigest() for n in numbers],
        reader=lambda index: np.full((2, 3, 3), start + index, np.uint8),
    )


def number_of(image: np.ndarray) -> int:
    (number,) = np.unique(image)
    return int(number)


def test_length_is_the_number_of_images():
    assert len(examples(0, 5)) == 5


def test_read_gives_the_image_at_a_position():
    assert number_of(examples(10, 5).read(3)) == 13


@pytest.mark.parametrize("index", [-1, 5])
def test_read_outside_the_split_is_refused(index):
    with pytest.raises(IndexError, match=r"\[0, 5\).*index="):
        examples(0, 5).read(index)


def test_subset_keeps_what_belongs_together():
    part = examples(10, 5).subset([4, 1, 1])
    assert [number_of(part.read(i)) for i in range(3)] == [14, 11, 11]
    assert list(part.names) == ["image 14", "image 11", "image 11"]
    assert part.labels.tolist() == [0, 1, 1]
    assert part.digests[0] == hashlib.sha256(bytes([14])).hexdigest()


def test_subset_of_a_subset():
    part = examples(10, 5).subset([4, 1, 0]).subset(np.array([2, 0]))
    assert [number_of(part.read(i)) for i in range(2)] == [10, 14]


def test_empty_subset():
    assert len(examples(0, 5).subset([])) == 0


@pytest.mark.parametrize("indices", [[0, 5], [-1]])
def test_subset_outside_the_split_is_refused(indices):
    with pytest.raises(IndexError, match=r"subset.*\[0, 5\)"):
        examples(0, 5).subset(indices)


def test_other_labels_for_the_same_images():
    part = examples(10, 3).with_labels(np.array([5, 6, 7], np.int32))
    assert part.labels.tolist() == [5, 6, 7]
    assert number_of(part.read(2)) == 12


def test_concatenate_reads_from_every_part():
    joined = concatenate([examples(10, 3), examples(0, 0), examples(20, 2)])
    numbers = [number_of(joined.read(i)) for i in range(len(joined))]
    assert numbers == [10, 11, 12, 20, 21]
    assert list(joined.names) == [f"image {number}" for number in numbers]
    assert joined.labels.tolist() == [0, 1, 0, 0, 1]


def test_concatenate_of_nothing_is_refused():
    with pytest.raises(ValueError, match="`parts` must hold at least one"):
        concatenate([])


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="equally long.*2, 1 and 2"):
        Examples(np.zeros(2, np.int32), ["a"], ["b", "c"], lambda i: None)
