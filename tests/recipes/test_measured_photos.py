"""Labels of one source become labels of a run."""

import numpy as np
import pytest

from dropzoo.data import Examples
from dropzoo.recipes.measured_photos import match_classes


def examples(labels: list[int]) -> Examples:
    """Photos that are filled with their own position."""
    names = [f"photo {position}" for position in range(len(labels))]
    return Examples(
        labels=np.array(labels, "int32"),
        names=names,
        digests=names,
        reader=lambda position: np.full((2, 2, 3), position, "uint8"),
    )


def test_a_class_keeps_its_name_and_changes_its_number():
    matched, unknown = match_classes(
        examples([0, 1, 2, 1]), ["pear", "fig", "apple"], ["apple", "fig"]
    )
    assert matched.labels.tolist() == [1, 0, 1]
    assert matched.labels.dtype == np.int32
    assert list(matched.names) == ["photo 1", "photo 2", "photo 3"]
    assert [int(matched.read(i).max()) for i in range(3)] == [1, 2, 3]
    assert unknown == {"pear": 1}


def test_an_unknown_class_without_photos_is_not_counted():
    _, unknown = match_classes(examples([0]), ["fig", "pear"], ["fig", "kiwi"])
    assert unknown == {}


def test_names_must_be_equal_to_the_letter():
    with pytest.raises(ValueError, match="'fig'.* Received: 'Fig'"):
        match_classes(examples([0]), ["Fig"], ["fig"])
