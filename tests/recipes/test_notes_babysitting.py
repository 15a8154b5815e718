"""First losses beside ln 10, and what the monitors say of three rates."""

import math

import numpy as np
import pytest

from dropzoo.recipes import notes_babysitting as babysitting


def test_a_network_that_knows_nothing_begins_at_ln_10():
    loss = babysitting.first_loss(0)
    # Logits of small weights are no more than some hundredths.
    assert loss == pytest.approx(2.3026, abs=2e-3)
    assert round(math.log(10), 4) == 2.3026


def test_the_first_loss_rises_with_the_penalty():
    network = babysitting.build(0.0, spread=0.01)
    squares = sum(float(np.square(w).sum()) for w in network.get_weights())
    without = babysitting.first_loss(0)
    for strength in (0.1, 10):
        rise = babysitting.first_loss(strength) - without
        assert rise == pytest.approx(strength * squares, rel=1e-3)


@pytest.mark.slow
def test_twenty_digits_are_learned_by_heart():
    losses, accuracy = babysitting.learn_by_heart(0)
    assert accuracy == 1
    assert len(losses) == babysitting.TINY_STEPS
    assert losses[0] > 1.5
    assert losses[-1] < 0.1


@pytest.mark.slow
def test_three_rates_are_told_apart():
    low, right, high = (
        babysitting.watch(rate, 0) for rate in babysitting.RATES.values()
    )
    assert low.finding == "rate too low"
    assert high.finding in ("diverging", "rate too high", "bad initialisation")
    assert right.accuracy > 0.85
    assert low.early_ratio < 1e-4
    assert 5e-4 < right.early_ratio < 1e-2 < high.early_ratio
