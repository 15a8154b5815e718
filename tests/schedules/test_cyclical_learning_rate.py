import numpy as np
import pytest

from dropzoo.schedules import CyclicalLearningRate

BASE, TOP = 0.001, 0.006


def by_hand(steps, step_size, scale):
    """The formulas that were published with the paper."""
    t = np.arange(steps)
    cycle = np.floor(1 + t / (2 * step_size))
    x = np.abs(t / step_size - 2 * cycle + 1)
    return BASE + (TOP - BASE) * np.maximum(0, 1 - x) * scale(cycle, t)


SCALES = {
    "triangular": lambda cycle, t: 1,
    "triangular2": lambda cycle, t: 0.5 ** (cycle - 1),
    "exp_range": lambda cycle, t: 0.99994**t,
}


def make(mode, step_size):
    gamma = 0.99994 if mode == "exp_range" else None
    return CyclicalLearningRate(BASE, TOP, step_size, mode=mode, gamma=gamma)


@pytest.mark.parametrize("step_size", [1, 7, 2000])
@pytest.mark.parametrize("mode", SCALES)
def test_rates_are_the_papers(rates, mode, step_size):
    expected = by_hand(50_000, step_size, SCALES[mode])
    found = rates(make(mode, step_size), 50_000)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize("mode", SCALES)
def test_rates_are_torchs(rates, torch_rates, mode):
    expected = torch_rates(
        lambda module, optimizer: module.CyclicLR(
            optimizer, BASE, TOP, step_size_up=150, mode=mode, gamma=0.99994
        ),
        2000,
    )
    np.testing.assert_allclose(
        rates(make(mode, 150), 2000), expected, rtol=1e-6
    )


def test_a_cycle_goes_from_base_to_top_and_back():
    schedule = make("triangular", 5)
    found = [float(schedule(step)) for step in (0, 5, 10, 15)]
    np.testing.assert_allclose(found, [BASE, TOP, BASE, TOP], rtol=1e-6)


def test_peaks_of_triangular2_are_halved_with_each_cycle():
    schedule = make("triangular2", 5)
    heights = [float(schedule(step)) - BASE for step in (5, 15, 25, 35)]
    expected = (TOP - BASE) / np.array([1, 2, 4, 8])
    np.testing.assert_allclose(heights, expected, rtol=1e-5)


def test_cycles_are_exact_in_the_longest_trainings():
    schedule = make("triangular", 3)
    start = 6 * 5_000_000  # beyond 2 ** 24 float32 has even numbers only
    assert float(schedule(start)) == np.float32(BASE)
    np.testing.assert_allclose(float(schedule(start + 3)), TOP, rtol=1e-6)


def test_it_is_defined_without_end(rates):
    schedule = make("triangular2", 5)
    assert float(schedule(100_000)) == np.float32(BASE)
    assert np.isfinite(float(schedule(100_005)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mode": "triangle"}, "`mode` must be .*Received: mode='triangle'"),
        ({"mode": "exp_range"}, r"`gamma` must be in \(0, 1\].*gamma=None"),
        ({"mode": "exp_range", "gamma": 1.1}, "`gamma` must be in .*=1.1"),
        ({"mode": "exp_range", "gamma": 0.0}, "`gamma` must be in .*=0.0"),
        ({"gamma": 0.9}, "`gamma` must be None .*gamma=0.9"),
    ],
)
def test_a_mode_that_makes_no_sense_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        CyclicalLearningRate(BASE, TOP, 5, **options)


def test_a_top_below_the_base_is_refused():
    with pytest.raises(ValueError, match="at least `base_learning_rate`"):
        CyclicalLearningRate(0.1, 0.01, 5)
