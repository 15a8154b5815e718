import itertools
import math

import keras_tuner
import numpy as np
import pytest
from scipy import stats

from dropzoo.search.stage_values import (
    derive_seed,
    grid_values,
    random_values,
)


@pytest.fixture
def space():
    space = keras_tuner.HyperParameters()
    space.Float("rate", 1e-4, 1.0, sampling="log")
    space.Choice("optimizer", ["sgd", "adam"])
    with space.conditional_scope("optimizer", ["sgd"]):
        space.Float("momentum", 0.0, 0.9)
    return space


def test_draws_are_uniform_on_the_scale_of_the_parameter(space):
    draws = [random_values(space, 3, k) for k in range(400)]
    logs = [math.log10(x["rate"]) for x in draws]
    assert stats.kstest(logs, stats.uniform(-4, 4).cdf).pvalue > 0.01
    share = np.mean([x["optimizer"] == "sgd" for x in draws])
    assert share == pytest.approx(0.5, abs=0.08)  # three standard errors


@pytest.mark.parametrize("quasi", [False, True])
def test_a_draw_follows_from_seed_and_number_alone(space, quasi):
    draw = [random_values(space, 3, k, quasi=quasi) for k in (0, 7, 7)]
    assert draw[1] == draw[2] != draw[0]
    assert random_values(space, 4, 7, quasi=quasi) != draw[1]


def test_only_parameters_whose_condition_is_met_are_drawn(space):
    for number in range(20):
        values = random_values(space, 0, number)
        assert ("momentum" in values) == (values["optimizer"] == "sgd")


def test_sobol_points_are_spread_more_evenly_than_random_ones(space):
    gaps = {}
    for quasi in (False, True):
        draws = [random_values(space, 0, k, quasi=quasi) for k in range(32)]
        logs = np.sort([math.log10(x["rate"]) for x in draws])
        gaps[quasi] = np.diff([-4, *logs, 0]).max()
    assert gaps[True] < 2 * 4 / 32 + 1e-9 < gaps[False]


def test_an_empty_space_has_one_point():
    empty = keras_tuner.HyperParameters()
    assert random_values(empty, 0, 0) == {}
    assert grid_values(empty, 5, 0) == [{}]


def test_a_grid_has_as_many_levels_as_the_trials_allow(space):
    # With n levels of each range: n adam points and n * n sgd points.
    points = grid_values(space, 20, 0)
    assert len(points) == 4 + 4**2
    rates = sorted({x["rate"] for x in points})
    expected = [10 ** (-4 + 4 * (i + 0.5) / 4) for i in range(4)]
    assert rates == pytest.approx(expected)


def test_a_grid_of_choices_is_their_product():
    space = keras_tuner.HyperParameters()
    space.Choice("a", [1, 2, 3])
    space.Boolean("b")
    space.Int("c", 0, 4, step=2)
    points = {tuple(x.values()) for x in grid_values(space, 18, 0)}
    assert points == set(itertools.product([1, 2, 3], [True, False], [0, 2, 4]))


def test_a_grid_that_is_too_large_is_thinned_over_all_its_parameters():
    space = keras_tuner.HyperParameters()
    for name in "abcd":
        space.Choice(name, [1, 2, 3])
    points = grid_values(space, 20, 0)
    assert len(points) == len({tuple(x.values()) for x in points}) == 20
    for name in "abcd":
        assert {x[name] for x in points} == {1, 2, 3}


def test_seeds_differ_with_each_number():
    seeds = {derive_seed(a, b) for a in range(20) for b in range(20)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**32 for seed in seeds)
