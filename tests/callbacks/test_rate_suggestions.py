"""Readings of a curve, against those of fastai 2.8.2."""

import dataclasses

import numpy as np
import pytest

from dropzoo.callbacks.rate_suggestions import RateSuggestions, valley

# What fastai's functions gave on the curves below.
FASTAI = [
    (0.000163789, 0.000439397, 0.000517947, 0.000439397),
    (5.17947e-05, 0.00026827, 0.000316228, 0.000117877),
    (2.6827e-05, 6.1054e-05, 4.39397e-05, 0.0316228),
    (1.17877e-05, 1.63789e-06, 1.17877e-05, 0.0719686),
    (0.001, 0.0061054, 0.0061054, 0.00227585),
    (0.000316228, 0.0013895, 0.00227585, 4.39397e-06),
]


def curve(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A loss that falls, rises, and wanders."""
    rng = np.random.default_rng(seed)
    rates = np.geomspace(1e-6, 1, 85)
    x = np.log10(rates)
    best, depth = rng.uniform(-4, -1), rng.uniform(0.2, 2)
    fall = depth / (1 + np.exp(-2 * (x - best + 1)))
    rise = np.exp(3 * (x - best - 0.7))
    noise = np.cumsum(rng.normal(0, 0.01, 85))
    return rates, 2.5 - fall + np.minimum(rise, 8) + noise


@pytest.mark.parametrize("seed", range(6))
def test_the_readings_are_those_of_fastai(seed):
    found = dataclasses.astuple(RateSuggestions.read(*curve(seed)))
    np.testing.assert_allclose(found, FASTAI[seed], rtol=1e-5)


def test_a_parabola_is_read_at_its_known_points():
    rates = np.geomspace(1e-6, 1, 61)  # ten points for each power of ten
    found = RateSuggestions.read(rates, (np.log10(rates) + 2) ** 2)
    assert found.minimum == pytest.approx(1e-3)  # a tenth of 1e-2
    assert found.steep == pytest.approx(1e-6)  # steepest at the far end
    # 41 points fall, the first is one before the curve: -1 + 13 + 6.
    assert found.valley == pytest.approx(rates[18])
    # The slopes differ by 0.3 everywhere: the slide goes on to the start.
    assert found.slide == pytest.approx(1e-6)


def test_a_straight_end_is_where_the_slide_stays():
    rates = np.geomspace(1e-6, 1, 61)
    found = RateSuggestions.read(rates, np.arange(61.0))
    assert found.slide == pytest.approx(rates[-16])


@pytest.mark.parametrize("falls", [0, 1])
def test_a_curve_that_hardly_falls_is_read_at_its_start(falls):
    rates = np.geomspace(1e-6, 1, 20)
    losses = np.arange(20.0)
    losses[0] += 1.5 * falls  # then it falls to the second point alone
    assert valley(rates, losses) == pytest.approx(1e-6)


@pytest.mark.parametrize(("rates", "losses"), [(15, 15), (20, 19)])
def test_a_short_or_unequal_curve_is_refused(rates, losses):
    with pytest.raises(ValueError, match=f"{rates} rates and {losses} losses"):
        RateSuggestions.read(np.geomspace(1e-6, 1, rates), np.ones(losses))
