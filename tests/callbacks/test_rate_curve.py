"""Smoothing, and the end of a curve."""

import math

import numpy as np
import pytest

from dropzoo.callbacks.rate_curve import RateCurve


def recorded(losses, **options) -> RateCurve:
    curve = RateCurve(options.pop("num_iterations", 100), **options)
    for number, loss in enumerate(losses):
        curve.record(10.0 ** (number / 12 - 7), loss)
    return curve


def test_the_smoothed_loss_is_a_weighted_mean():
    raw = np.random.default_rng(0).uniform(1, 3, 40)
    curve = recorded(raw)
    for number, loss in enumerate(curve.losses, start=1):
        weights = 0.98 ** np.arange(number)[::-1]  # the newest counts most
        expected = np.average(raw[:number], weights=weights)
        assert loss == pytest.approx(expected)
    assert curve.batch_losses == list(raw)


def test_without_smoothing_the_losses_are_the_batches_own():
    assert recorded([3.0, 1.0, 2.0], smoothing=0).losses == [3.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("last", "divergence", "ended"),
    [(4.1, 4, True), (3.9, 4, False), (1e30, math.inf, False)],
)
def test_a_loss_above_a_multiple_of_the_lowest_is_the_end(
    last, divergence, ended
):
    curve = recorded([2.0, 1.0, last], smoothing=0, divergence=divergence)
    assert curve.has_ended() is ended


def test_losses_below_zero_do_not_diverge():
    assert not recorded([-2.0, -3.0, 5.0], smoothing=0).has_ended()


def test_the_last_iteration_is_the_end():
    assert not recorded([1.0] * 99).has_ended()
    assert recorded([1.0] * 100).has_ended()
    assert not recorded([]).has_ended()


def test_neither_end_is_read():
    losses = np.linspace(2, 1, 100)
    losses[:10] = 3, 0, *np.linspace(3, 2.1, 8)  # a fall that must not count
    losses[-5:] = 0
    found = recorded(losses, smoothing=0).read()
    assert found.minimum == pytest.approx(10 ** (94 / 12 - 8))


def test_an_empty_curve_is_refused():
    with pytest.raises(ValueError, match="first batch must be finite"):
        recorded([]).read()


def test_a_curve_that_ends_early_is_refused():
    recorded(np.linspace(2, 1, 31)).read()
    with pytest.raises(ValueError, match=r"after 30 of 100 .* rate 2\.6e-05"):
        recorded(np.linspace(2, 1, 30)).read()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"num_iterations": 24}, "`num_iterations` must be at least 25"),
        ({"smoothing": 1.0}, r"`smoothing` must be in \[0, 1\)"),
        ({"smoothing": -0.1}, "Received: smoothing=-0.1"),
        ({"divergence": 1.0}, "`divergence` must be above 1"),
        ({"divergence": math.nan}, "Received: divergence=nan"),
    ],
)
def test_an_argument_outside_its_range_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        RateCurve(**{"num_iterations": 100, **options})
