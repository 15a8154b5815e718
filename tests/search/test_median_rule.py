import itertools
import statistics

import pytest

from dropzoo.search.median_rule import is_hopeless, last_epoch

OTHERS = [[0.1, 0.2], [0.2, 0.4], [0.3, 0.6], [0.4, 0.5], [0.5, 0.1]]


def test_the_median_of_the_best_so_far_decides():
    assert is_hopeless([0.29], OTHERS)
    assert not is_hopeless([0.3], OTHERS)
    median = statistics.median([0.2, 0.4, 0.6, 0.5, 0.5])
    assert is_hopeless([0.0, median - 0.01], OTHERS)
    assert not is_hopeless([median, 0.0], OTHERS)


def test_few_trials_say_nothing():
    assert not is_hopeless([0.0], OTHERS[:4])
    assert not is_hopeless([], OTHERS)


def test_a_trial_that_was_ended_counts_with_what_it_reached():
    others = [[0.1], [0.2], [0.3], [0.4, 0.8], [0.5, 0.9]]
    assert is_hopeless([0.2, 0.29], others)
    assert not is_hopeless([0.2, 0.3], others)


@pytest.mark.parametrize("score", [0.05, 0.15, 0.25, 0.35])
def test_pending_trials_may_end_in_any_way(score):
    # Hopeless now must mean hopeless whatever the two pending trials bring.
    ways = itertools.product([None, 0.0, 0.25, 1.0], repeat=2)
    outcomes = [
        is_hopeless([score], OTHERS + [[x] for x in way if x is not None])
        for way in ways
    ]
    assert is_hopeless([score], OTHERS, pending=2) == all(outcomes)


def test_the_first_hopeless_epoch_is_the_last():
    scores = [0.4, 0.41, 0.42]
    others = [[0.3, 0.3, 0.9], [0.4, 0.45, 0.5]] + [[0.2, 0.5, 0.9]] * 4
    assert last_epoch(scores, others) == 2
    assert last_epoch([0.9, 0.1, 0.1], others) is None
