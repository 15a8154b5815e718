import math

import numpy as np
import pytest

from dropzoo.schedules import SnapshotCosine


def by_hand(peak, steps, cycles):
    """Equation 2 of the paper, whose iterations count from 1."""
    length = math.ceil(steps / cycles)
    t = np.arange(1, steps + 1)
    return peak / 2 * (np.cos(np.pi * np.mod(t - 1, length) / length) + 1)


@pytest.mark.parametrize(
    ("peak", "steps", "cycles"),
    [(0.1, 12, 3), (0.2, 20_000, 5), (1.0, 7, 7), (0.05, 1, 1), (3, 99, 1)],
)
def test_rates_are_the_papers(rates, peak, steps, cycles):
    schedule = SnapshotCosine(peak, steps, cycles)
    expected = by_hand(peak, steps, cycles)
    np.testing.assert_allclose(rates(schedule, steps), expected, rtol=1e-6)


def test_rates_are_those_of_torchensemble(rates):
    """Its factor of the rate, with its rounding to float32."""

    def factor(iteration, length):
        angle = np.float32(math.pi * (iteration % length) / length)
        return 0.5 * (np.cos(angle) + 1)

    expected = [0.1 * factor(step, 600 // 4) for step in range(600)]
    found = rates(SnapshotCosine(0.1, 600, 4), 600)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


@pytest.mark.torch
def test_a_cycle_is_torchs_cosine_annealing(rates, torch_rates):
    expected = torch_rates(
        lambda module, optimizer: module.CosineAnnealingLR(optimizer, 250), 250
    )
    found = rates(SnapshotCosine(0.1, 1000, 4), 1000)
    np.testing.assert_allclose(found, np.tile(expected, 4), rtol=1e-6)


@pytest.mark.torch
def test_cycles_are_torchs_warm_restarts(rates, torch_rates):
    expected = torch_rates(
        lambda module, optimizer: module.CosineAnnealingWarmRestarts(
            optimizer, 250
        ),
        1000,
    )
    found = rates(SnapshotCosine(0.1, 1000, 4), 1000)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_every_cycle_begins_at_the_peak_and_ends_at_the_least_rate(rates):
    cycles = rates(SnapshotCosine(0.1, 40, 4), 40).reshape(4, 10)
    assert (cycles[:, 0] == np.float32(0.1)).all()
    assert (np.diff(cycles) < 0).all()
    assert (cycles[:, -1] > 0).all()


def test_steps_behind_the_end_keep_the_last_rate(rates):
    found = rates(SnapshotCosine(0.1, 20, 4), 50)
    assert (found[20:] == found[19]).all()


def test_cycles_are_exact_in_the_longest_trainings():
    """Beyond 2 ** 24 float32 cannot tell a step from the next."""
    length, cycles = 1000, 40_000
    schedule = SnapshotCosine(0.1, length * cycles, cycles)
    start = length * (cycles - 1)
    assert float(schedule(start)) == np.float32(0.1)
    assert float(schedule(start - 1)) < 1e-6


@pytest.mark.parametrize(
    ("steps", "cycles", "hint"),
    [(20, 3, "18 or 21"), (100, 7, "98 or 105"), (2, 3, "3")],
)
def test_cycles_that_do_not_divide_the_steps_are_refused(steps, cycles, hint):
    with pytest.raises(
        ValueError,
        match=f"must divide .*Received: decay_steps={steps}, "
        f"num_cycles={cycles}; take {hint} steps",
    ):
        SnapshotCosine(0.1, steps, cycles)
