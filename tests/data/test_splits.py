import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from dropzoo.data.splits import hold_out, limited

LABELS = np.random.default_rng(0).permutation(
    np.repeat(np.arange(5), (7, 20, 33, 100, 240))
)


def counts(labels: np.ndarray) -> np.ndarray:
    return np.bincount(labels, minlength=5)


@pytest.mark.parametrize("share", [0.1, 0.15, 0.5])
def test_held_out_classes_agree_with_scikit_learn(share):
    held_out = hold_out(LABELS, share, seed=0)
    _, expected = train_test_split(
        LABELS, test_size=share, stratify=LABELS, random_state=0
    )
    difference = counts(LABELS[held_out]) - counts(expected)
    assert np.abs(difference).max() <= 1


def test_held_out_positions_are_unique_and_increasing():
    held_out = hold_out(LABELS, 0.3, seed=0)
    assert (np.diff(held_out) > 0).all()


def test_equal_seeds_choose_equally_and_others_differ():
    first, again, other = (hold_out(LABELS, 0.15, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_small_classes_keep_one_and_give_one():
    labels = np.repeat(np.arange(4), (1, 2, 3, 4))
    held_out = counts(labels[hold_out(labels, 0.01, seed=0)])
    assert held_out.tolist() == [0, 1, 1, 1, 0]
    held_out = counts(labels[hold_out(labels, 0.99, seed=0)])
    assert held_out.tolist() == [0, 1, 2, 3, 0]


def test_share_of_zero_holds_out_nothing():
    assert len(hold_out(LABELS, 0.0, seed=0)) == 0


def test_no_labels_hold_out_nothing():
    assert len(hold_out(np.empty(0, np.int32), 0.5, seed=0)) == 0


@pytest.mark.parametrize("limit", [5, 6, 50, 399, 400])
def test_limit_is_met_exactly(limit):
    assert len(np.unique(limited(LABELS, limit, seed=0))) == limit


def test_limit_keeps_proportions():
    kept = counts(LABELS[limited(LABELS, 200, seed=0)])
    np.testing.assert_allclose(kept, counts(LABELS) / 2, atol=1)


def test_limit_leaves_every_class_an_image():
    assert counts(LABELS[limited(LABELS, 5, seed=0)]).tolist() == [1] * 5


def test_limit_above_the_number_keeps_all():
    np.testing.assert_array_equal(limited(LABELS, 10**6, 0), np.arange(400))


def test_limit_depends_on_the_seed_alone():
    first, again, other = (limited(LABELS, 50, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_limit_below_the_number_of_classes_is_refused():
    with pytest.raises(ValueError, match="at least 5.*limit=4"):
        limited(LABELS, 4, seed=0)
