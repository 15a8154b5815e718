import numpy as np
import pytest

from dropzoo.schedules import StepDecay


@pytest.mark.parametrize(
    ("epochs", "steps", "factor"), [(2, 5, 0.1), (5, 101, 0.5), (1, 1, 0.97)]
)
def test_rates_fall_by_the_factor_every_few_epochs(
    rates, epochs, steps, factor
):
    num_steps = 8 * epochs * steps
    epoch = np.arange(num_steps) // steps
    expected = 0.1 * factor ** (epoch // epochs)
    found = rates(StepDecay(0.1, epochs, steps, factor=factor), num_steps)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.torch
def test_rates_are_torchs(rates, torch_rates):
    """PyTorch's is stepped once an epoch."""
    per_epoch = torch_rates(
        lambda module, optimizer: module.StepLR(optimizer, 30, gamma=0.1), 100
    )
    found = rates(StepDecay(0.1, 30, 7), 700)
    np.testing.assert_allclose(found, np.repeat(per_epoch, 7), rtol=1e-6)


def test_the_first_step_of_the_epoch_has_the_lower_rate():
    schedule = StepDecay(0.1, epochs_per_drop=3, steps_per_epoch=7)
    assert float(schedule(20)) == np.float32(0.1)
    np.testing.assert_allclose(float(schedule(21)), 0.01, rtol=1e-6)


def test_drops_are_exact_in_the_longest_trainings():
    """2 ** 24 + 1 is no number of float32."""
    schedule = StepDecay(0.1, 1, 2**24 + 1)
    assert float(schedule(2**24)) == np.float32(0.1)
    assert float(schedule(2**24 + 1)) < 0.011


@pytest.mark.parametrize("factor", [0.0, -0.1, 1.1])
def test_a_factor_outside_its_range_is_refused(factor):
    with pytest.raises(ValueError, match=f"`factor` must .*factor={factor}"):
        StepDecay(0.1, 1, 1, factor=factor)
