import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from dropzoo.layers.fractional_regions import (
    count_regions,
    even_boundaries,
    find_torch_windows,
    find_windows,
    pseudorandom_boundaries,
    random_boundaries,
    tensorflow_boundaries,
)

few = settings(max_examples=12, deadline=None, derandomize=True)


@st.composite
def axes(draw):
    """A length and a number of regions: few ones, as JAX compiles for each."""
    count = draw(st.sampled_from([1, 7, 39]))
    return count + draw(st.integers(0, 150)), count


# Odd numerators over 2048 keep `draw * length` exact in float32, and off the
# integers, where `floor + 1` and `ceil` part.
DRAWS = [Fraction(numerator, 2048) for numerator in range(1, 2048, 34)]


def as_draw(values):
    """One draw per sample: `(samples, 1, 1)`."""
    values = np.atleast_1d(np.array(values, "float64")).astype("float32")
    return ops.convert_to_tensor(values[:, None, None])


def test_the_worked_example_of_paddle():
    boundaries = pseudorandom_boundaries(as_draw(0.3), 7, 5)
    assert np.array_equal(boundaries, [[[0, 1, 3, 4, 6, 7]]])


@few
@given(axes())
def test_pseudorandom_boundaries_are_those_of_the_formula(axis):
    length, count = axis
    a = Fraction(length, count)
    expected = [
        [math.floor(a * (i + u)) - math.floor(a * u) for i in range(count + 1)]
        for u in DRAWS
    ]
    boundaries = pseudorandom_boundaries(as_draw(DRAWS), length, count)
    assert np.array_equal(boundaries[:, 0], expected)


@few
@given(axes())
def test_tensorflow_boundaries_are_those_of_its_source(axis):
    length, count = axis
    a, k = Fraction(length, count), length // count
    largest = min((k + 2) / a - 1, (length + 1 - k) / a - (count - 1))
    boundaries = tensorflow_boundaries(as_draw(DRAWS), length, count)
    boundaries = ops.convert_to_numpy(boundaries)[:, 0]
    for u, found in zip(DRAWS, boundaries, strict=True):
        inner = [math.ceil(a * (i + u * largest)) - 1 for i in range(1, count)]
        assert np.array_equal(found, [0, *inner, length])


@few
@given(axes())
def test_even_boundaries_are_nearest_to_an_even_spread(axis):
    length, count = axis
    even = np.arange(count + 1) * length / count
    boundaries = ops.convert_to_numpy(even_boundaries(length, count))[0, 0]
    assert (boundaries[0], boundaries[-1]) == (0, length)
    assert np.abs(boundaries - even).max() <= 0.5


@pytest.mark.parametrize("length,count", [(56, 39), (14, 7), (7, 7), (23, 7)])
@pytest.mark.parametrize(
    "boundaries_of",
    [pseudorandom_boundaries, tensorflow_boundaries, random_boundaries],
)
def test_steps_are_of_two_sizes_from_edge_to_edge(boundaries_of, length, count):
    draw = np.random.default_rng(0).random((500, 2, count)).astype("float32")
    draw[0], draw[1] = 0, np.float32(1 - 2**-24)  # the ends of the range
    draw = draw if boundaries_of is random_boundaries else draw[..., :1]
    boundaries = boundaries_of(ops.convert_to_tensor(draw), length, count)
    boundaries = ops.convert_to_numpy(boundaries)
    assert boundaries.shape == (500, 2, count + 1)
    assert (boundaries[..., 0] == 0).all()
    assert (boundaries[..., -1] == length).all()
    small = length // count
    sizes = {small, small + 1} if length % count else {small}
    assert set(np.unique(np.diff(boundaries))) == sizes


def test_random_steps_are_shuffled_evenly():
    draw = np.random.default_rng(0).random((20_000, 1, 10)).astype("float32")
    boundaries = random_boundaries(ops.convert_to_tensor(draw), 14, 10)
    large = np.diff(ops.convert_to_numpy(boundaries)[:, 0]) == 2
    assert (large.sum(axis=-1) == 4).all()
    # Five standard errors of so many draws with probability 0.4.
    error = 5 * np.sqrt(0.4 * 0.6 / 20_000)
    assert np.abs(large.mean(axis=0) - 0.4).max() < error
    # Independent but for their number: 4/10 * 3/9.
    together = (large[:, :-1] & large[:, 1:]).mean(axis=0)
    assert np.abs(together - 2 / 15).max() < 5 * np.sqrt(0.12 / 20_000)


def test_pseudorandom_steps_are_spread():
    """Any two stretches of equal length differ by one position at most."""
    draw = np.random.default_rng(0).random(200)
    boundaries = pseudorandom_boundaries(as_draw(draw), 56, 39)
    boundaries = ops.convert_to_numpy(boundaries)[:, 0]
    for steps in range(1, 39):
        lengths = boundaries[:, steps:] - boundaries[:, :-steps]
        assert np.ptp(lengths) == 1


@pytest.mark.parametrize("length,count", [(56, 39), (52, 39), (14, 7)])
def test_pseudorandom_sequences_are_as_many_as_the_reduced_fraction_says(
    length, count
):
    draw = np.random.default_rng(0).random(2000)
    boundaries = pseudorandom_boundaries(as_draw(draw), length, count)
    sequences = np.unique(ops.convert_to_numpy(boundaries), axis=0)
    assert len(sequences) == count // math.gcd(length, count)


@pytest.mark.parametrize("sequence", ["pseudorandom", "random"])
@pytest.mark.parametrize(
    "length,count,size", [(56, 39, 2), (20, 7, 4), (8, 7, 2)]
)
def test_windows_reach_from_edge_to_edge_without_a_gap(
    sequence, length, count, size
):
    draw = np.random.default_rng(0).random((200, 1, count)).astype("float32")
    draw = draw if sequence == "random" else draw[..., :1]
    windows = find_windows(
        ops.convert_to_tensor(draw), length, count, size, sequence
    )
    starts = ops.convert_to_numpy(windows.starts)[:, 0]
    assert starts.shape == (200, count)
    assert (starts[:, 0] == 0).all()
    assert (starts[:, -1] == length - size).all()
    steps = np.diff(starts)
    assert steps.min() >= 1
    assert steps.max() <= size


def torch_intervals(sample, length, count, size):
    """`generate_intervals` of PyTorch, in NumPy."""
    step = np.float32(length - size) / np.float32(max(count - 1, 1))
    starts = [
        int((np.float32(i) + sample) * step) - int(sample * step)
        for i in range(count - 1)
    ]
    return [*starts, length - size]


@pytest.mark.parametrize(
    "length,count,size", [(56, 39, 2), (41, 39, 3), (40, 7, 2), (7, 1, 3)]
)
def test_windows_of_torch_are_those_of_its_formula(length, count, size):
    samples = np.random.default_rng(0).random(300).astype("float32")
    windows = find_torch_windows(as_draw(samples), length, count, size)
    expected = [torch_intervals(u, length, count, size) for u in samples]
    assert np.array_equal(windows.starts[:, 0], expected)


def test_long_signals_do_not_overflow():
    length, count = 300_001, 212_132  # i * length exceeds 32 bits early
    boundaries = pseudorandom_boundaries(as_draw(0.25), length, count)
    boundaries = ops.convert_to_numpy(boundaries)
    offset = length // 4
    for i in (1, 7159, 100_003, count):
        expected = (i * length + offset) // count - offset // count
        assert boundaries[0, 0, i] == expected


@pytest.mark.parametrize(
    ("length", "ratio", "count"),
    [(56, 2**0.5, 39), (56, 1, 56), (30, 1.2, 25), (33, 1.1, 30), (1, 1.5, 0)],
)
def test_counts_are_exact_where_floating_point_is_not(length, ratio, count):
    assert count_regions(length, ratio) == count
