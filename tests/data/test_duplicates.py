import numpy as np

from dropzoo.data.duplicates import drop_duplicates


def drop(digests: str, labels: str, splits: str, positions=None):
    """One letter per image: t(r)ain, (v)alidation, (t)est."""
    named = {"r": "train", "v": "validation", "t": "test"}
    return drop_duplicates(
        range(len(digests)) if positions is None else positions,
        list(digests),
        np.array([int(label) for label in labels]),
        np.array([named[split] for split in splits]),
        [f"image {index}" for index in range(len(digests))],
        ["cat", "dog"],
    )


def test_different_images_stay():
    result = drop("abc", "001", "rvt")
    assert result.kept.tolist() == [0, 1, 2]
    assert not result.duplicates and not result.contradictions


def test_the_first_copy_stays_within_a_split():
    result = drop("aba", "010", "rrr")
    assert result.kept.tolist() == [0, 1]
    (copy,) = result.duplicates
    assert (copy.name, copy.kept) == ("image 2", "image 0")


def test_a_photo_in_train_and_test_stays_in_test():
    result = drop("aaa", "000", "rvt")
    assert result.kept.tolist() == [2]
    dropped = [(c.split, c.kept_split) for c in result.duplicates]
    assert dropped == [("train", "test"), ("validation", "test")]


def test_a_photo_in_train_and_validation_stays_in_validation():
    assert drop("aa", "11", "vr").kept.tolist() == [0]


def test_all_copies_under_two_labels_go():
    result = drop("aab", "011", "rtr")
    assert result.kept.tolist() == [2]
    assert [r.name for r in result.contradictions] == ["image 0", "image 1"]
    assert result.contradictions[0].reason == (
        "the same image is labelled 'cat' and 'dog'"
    )


def test_only_the_positions_given_are_looked_at():
    assert drop("aaa", "010", "rrr", positions=[1]).kept.tolist() == [1]
