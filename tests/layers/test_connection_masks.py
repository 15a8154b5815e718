import keras
import numpy as np
import pytest
from scipy import stats

from dropzoo.layers.connection_masks import (
    draw_mask,
    draw_odd_integers,
    is_kept,
)


def generator(seed=1):
    return keras.random.SeedGenerator(seed)


def mask(shape, rate, seed=1):
    drawn = draw_mask(shape, rate, generator(seed))
    return keras.ops.convert_to_numpy(drawn)


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.95])
def test_the_rate_is_the_share_that_is_dropped(rate):
    dropped = ~mask((3, 150, 400), rate)
    # Five standard errors of so many draws, any two of them independent.
    error = 5 * np.sqrt(rate * (1 - rate) / dropped.size)
    assert dropped.mean() == pytest.approx(rate, abs=error)


def test_integers_are_odd_and_uniform():
    values = draw_odd_integers((2**16,), generator())
    values = keras.ops.convert_to_numpy(values)
    assert values.dtype == np.int32
    assert (values % 2 == 1).all()
    for bits in (values >> 28, values >> 1 & 15):
        counts = np.unique(bits, return_counts=True)[1]
        assert stats.chisquare(counts).pvalue > 1e-6
        assert len(counts) == 16


@pytest.mark.parametrize("rate", [0.3, 0.5])
def test_two_rows_and_two_columns_are_independent(rate):
    many = 20_000
    drawn = is_kept(
        draw_odd_integers((many, 2, 1), generator(1)),
        draw_odd_integers((many, 1, 2), generator(2)),
        rate,
    )
    drawn = keras.ops.convert_to_numpy(drawn).reshape(many, 4)
    patterns, counts = np.unique(drawn, axis=0, return_counts=True)
    expected = many * np.where(patterns, 1 - rate, rate).prod(axis=1)
    assert len(patterns) == 16
    assert stats.chisquare(counts, expected).pvalue > 1e-6


@pytest.mark.parametrize("axis", [0, 1])
def test_no_two_columns_or_rows_go_together(axis):
    many, few = 40_000, 32
    shape = (many, few) if axis == 0 else (few, many)
    correlations = np.corrcoef(mask(shape, 0.5), rowvar=axis == 1)
    # About 500 pairs: a sixth standard error is never seen.
    others = correlations[~np.eye(few, dtype=bool)]
    assert abs(others).max() < 6 / np.sqrt(many)


@pytest.mark.parametrize(("rate", "share"), [(1e-12, 1), (1 - 1e-12, 0)])
def test_rates_beyond_its_steps_are_rounded(rate, share):
    assert mask((500, 500), rate).mean() == share


@pytest.mark.parametrize("shape", [(6,), (3, 1), (0, 4), (2, 3, 4, 5)])
def test_any_shape_of_a_kernel_will_do(shape):
    assert mask(shape, 0.5).shape == shape


def test_neighbouring_seeds_share_nothing():
    first, second = mask((200, 200), 0.5, seed=1), mask((200, 200), 0.5, seed=2)
    # Five standard errors of 40 000 fair draws.
    assert (first == second).mean() == pytest.approx(0.5, abs=2.5 / 200)
