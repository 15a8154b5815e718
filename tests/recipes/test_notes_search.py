"""Spaces, the region that is searched again, and one tiny search."""

import numpy as np
import pytest

from dropzoo.recipes import notes_search as search
from dropzoo.recipes.notes_search import COARSE, Trial


def test_the_best_third_says_where_to_look_again():
    trials = [Trial(10.0**n, 10.0 ** (-n - 1), n / 10) for n in range(9)]
    ranges = search.refined(trials)
    assert ranges["strength"] == pytest.approx((6, 8))
    assert ranges["rate"] == pytest.approx((-9, -7))
    half = {"strength": (0.0, 5.0), "rate": (-6.0, -4.5)}
    assert search._share(half) == pytest.approx(0.25)


def test_random_values_are_uniform_in_their_logarithm():
    space = search.random_space(COARSE)
    for parameter in space.space:
        low, high = COARSE[parameter.name]
        values = [parameter.random_sample(seed) for seed in range(400)]
        powers = (np.log10(values) - low) / (high - low)
        assert 0 <= powers.min() <= powers.max() <= 1
        # Of 400 uniform draws: a standard error of 0.014.
        assert powers.mean() == pytest.approx(0.5, abs=0.06)


class Known:
    """Best at a strength of 1 and a rate of 1e-4; no training."""

    def accuracy(self, strength, rate):
        return -abs(np.log10(strength)) - abs(np.log10(rate) + 4)


def test_random_search_tries_more_rates_than_a_grid(capfd):
    randomly = search.search(
        search.RandomTrials, search.random_space(COARSE), Known(), 0, 20
    )
    grid = search.search(
        search.GridTrials, search.grid_space(COARSE), Known(), 0, 20
    )
    assert len(randomly) == len(grid) == 20
    assert len({trial.rate for trial in randomly}) == 20
    assert len({trial.rate for trial in grid}) == 4
    assert len({(trial.rate, trial.strength) for trial in grid}) == 20
    for trial in randomly + grid:
        expected = Known().accuracy(trial.strength, trial.rate)
        assert trial.accuracy == pytest.approx(expected)
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_strength_and_rate_reach_the_training():
    two_layers = search.TwoLayers(0)
    good = two_layers.accuracy(1e-4, 1e-4)
    assert good > 0.8
    # Each step would take 2 * 1e4 * 1e-3 = 20 times the weights off them.
    assert two_layers.accuracy(1e4, 1e-3) < 0.3
    assert two_layers.accuracy(1e-4, 1e-6) < good
    assert two_layers.accuracy(1e-4, 1e-4) == pytest.approx(good, abs=0.05)
