import numpy as np
import pytest

from dropzoo.evaluation import (
    ReliabilityBin,
    expected_calibration_error,
    reliability_bins,
)


def oracle_error(confidence, correct, num_bins):
    """ECE in its textbook form, one bin after the other."""
    total = 0.0
    for i in range(num_bins):
        low, high = i / num_bins, (i + 1) / num_bins
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = abs(correct[inside].mean() - confidence[inside].mean())
            total += inside.mean() * gap
    return total


@pytest.mark.parametrize("num_bins", [1, 10, 15])
def test_error_equals_the_textbook_sum(num_bins):
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.01, 1.0, size=500)
    correct = rng.random(500) < confidence**2
    bins = reliability_bins(confidence, correct, num_bins=num_bins)
    assert expected_calibration_error(bins) == pytest.approx(
        oracle_error(confidence, correct, num_bins), abs=1e-12
    )


def test_error_of_a_hand_worked_example():
    # Two bins: 0.9 twice, once right (gap 0.4); 0.3 once, wrong (gap 0.3).
    bins = reliability_bins(
        np.array([0.9, 0.9, 0.3]), np.array([True, False, False]), num_bins=2
    )
    assert expected_calibration_error(bins) == pytest.approx(
        2 / 3 * 0.4 + 1 / 3 * 0.3
    )


def test_bins_exclude_their_lower_edge_and_include_their_upper():
    bins = reliability_bins(
        np.array([0.25, 0.5, 0.75, 1.0]), np.ones(4, bool), num_bins=4
    )
    assert [b.count for b in bins] == [1, 1, 1, 1]
    assert [b.high for b in bins] == [0.25, 0.5, 0.75, 1.0]


def test_a_confidence_that_rounding_lifted_above_one_is_in_the_last_bin():
    bins = reliability_bins(np.array([1.0000001]), np.array([True]))
    assert [b.count for b in bins] == [0] * 14 + [1]


def test_empty_bins_have_no_confidence_and_no_accuracy():
    bins = reliability_bins(np.array([0.9]), np.array([True]), num_bins=2)
    assert bins[0] == ReliabilityBin(0.0, 0.5, 0, None, None)
    assert bins[1] == ReliabilityBin(0.5, 1.0, 1, 0.9, 1.0)
