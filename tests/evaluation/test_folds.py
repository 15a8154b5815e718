import numpy as np
import pytest

from dropzoo.evaluation.folds import ENOUGH, NUM_FOLDS, choose_folds


def labels(*counts):
    """So many images of class 0, of class 1, and so on."""
    return np.repeat(np.arange(len(counts)), counts).astype(np.int32)


def test_a_validation_split_that_is_just_large_enough_judges():
    folds = choose_folds(labels(9, 7), labels(ENOUGH, ENOUGH), seed=0)
    assert not folds.crossed
    ((learn, judge),) = folds.pairs
    np.testing.assert_array_equal(learn, range(16))
    np.testing.assert_array_equal(judge, range(16, 16 + 2 * ENOUGH))
    np.testing.assert_array_equal(folds.learn, learn)
    np.testing.assert_array_equal(folds.held_out(), judge)


@pytest.mark.parametrize(
    "validation",
    [labels(ENOUGH, ENOUGH - 1), labels(ENOUGH), labels(), labels(0, 3)],
)
def test_one_image_short_in_one_class_means_folds(validation):
    train = labels(9, 7)
    folds = choose_folds(train, validation, seed=0)
    assert folds.crossed and len(folds.pairs) == NUM_FOLDS
    number = len(train) + len(validation)
    np.testing.assert_array_equal(folds.learn, range(number))
    np.testing.assert_array_equal(folds.held_out(), range(number))


def test_folds_part_what_they_judge_from_what_they_learn():
    folds = choose_folds(labels(30, 11, 5), labels(), seed=0)
    for learn, judge in folds.pairs:
        assert not set(learn) & set(judge)
        assert sorted([*learn, *judge]) == list(range(46))


def test_folds_keep_the_proportions_of_the_classes():
    train = labels(30, 12, 6)
    for _, judge in choose_folds(train, labels(), seed=0).pairs:
        counts = np.bincount(train[judge])
        np.testing.assert_array_equal(
            counts, np.array([30, 12, 6]) // NUM_FOLDS
        )


def test_every_class_of_two_images_is_learned_from_in_every_fold():
    train = labels(2, 3, 40)
    for learn, judge in choose_folds(train, labels(), seed=0).pairs:
        assert set(train[learn]) == set(train[judge]) == {0, 1, 2}


def test_a_class_of_one_image_is_learned_from_and_never_judged():
    train = labels(8, 1, 8)
    folds = choose_folds(train, labels(), seed=0)
    (alone,) = np.flatnonzero(train == 1)
    assert all(alone in learn for learn, _ in folds.pairs)
    assert alone in folds.learn
    assert set(folds.held_out()) == set(range(17)) - {alone}


def test_an_image_in_each_of_the_splits_makes_two():
    folds = choose_folds(labels(8, 1), labels(2, 1), seed=0)
    np.testing.assert_array_equal(folds.held_out(), range(12))


def test_folds_follow_from_the_seed():
    def judged(seed):
        pairs = choose_folds(labels(20, 20), labels(), seed).pairs
        return [judge.tolist() for _, judge in pairs]

    assert judged(1) == judged(1)
    assert judged(1) != judged(2)


def test_classes_of_one_image_alone_are_refused():
    with pytest.raises(ValueError, match="must have 2 images"):
        choose_folds(labels(1, 1, 1), labels(), seed=0)
