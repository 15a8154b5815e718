import keras_tuner
import numpy as np
import pytest

from dropzoo.search.narrow_space import (
    Span,
    estimate_range,
    narrow_space,
    span_around,
)


def space_of(*entries):
    """A space with parameters given as `(kind, name, ...arguments)`."""
    space = keras_tuner.HyperParameters()
    for kind, name, arguments in entries:
        getattr(space, kind)(name, **arguments)
    return space


def narrow(space, ranked, around=None):
    """The narrowed parameters by name."""
    new = narrow_space(space, around or space, ranked)
    return {parameter.name: parameter for parameter in new.space}


RATE = ("Float", "rate", dict(min_value=1e-6, max_value=1.0, sampling="log"))


def test_the_range_is_the_unbiased_estimate_from_uniform_draws():
    # Of n uniform draws, E[max - min] = (n - 1) / (n + 1) of the range.
    rng = np.random.default_rng(0)
    draws = rng.uniform(size=(4000, 6))
    spans = [estimate_range(list(x)) for x in draws]
    assert np.mean([x.low for x in spans]) == pytest.approx(0, abs=0.01)
    assert np.mean([x.high for x in spans]) == pytest.approx(1, abs=0.01)


def test_a_gap_beside_the_best_is_looked_into():
    # Nothing was tried between the best, up to 3, and 9, which is worse.
    wide = Span(0.0, 10.0)
    assert span_around(wide, [2.0, 3.0, 2.5], [9.0, 1.0], 2.0) == (1.0, 9.0)
    assert span_around(wide, [2.0, 3.0, 2.5], [9.0], 2.0) == (0.0, 9.0)


def test_a_logarithmic_range_shrinks_in_logarithms():
    # Best three of seven: 1e-4, 1e-3, 1e-2; a margin of a decade on each side.
    tried = [{"rate": 10.0**-k} for k in (3, 2, 4, 0, 1, 5, 6)]
    rate = narrow(space_of(RATE), tried)["rate"]
    assert rate.min_value == pytest.approx(1e-5)
    assert rate.max_value == pytest.approx(1e-1)
    assert rate.sampling == "log"


def test_a_logarithmic_range_goes_beyond_the_edge_where_the_best_lies():
    tried = [{"rate": x} for x in (0.9, 0.1, 0.3, 0.03)]
    rate = narrow(space_of(RATE), tried)["rate"]
    assert rate.max_value == pytest.approx(10 ** (0.25 * 6))
    assert rate.min_value > 1e-2


def test_a_narrowed_range_is_widened_again_up_to_what_was_declared():
    declared = space_of(("Float", "drop", dict(min_value=0.0, max_value=0.9)))
    around = space_of(("Float", "drop", dict(min_value=0.4, max_value=0.8)))
    tried = [{"drop": x} for x in (0.8, 0.7, 0.75, 0.5, 0.6)]
    drop = narrow(declared, tried, around)["drop"]
    assert (drop.min_value, drop.max_value) == pytest.approx((0.6, 0.9))
    tried = [{"drop": 0.4}, {"drop": 0.5}, {"drop": 0.45}]
    drop = narrow(declared, tried, around)["drop"]
    assert drop.min_value == pytest.approx(0.3)


def test_steps_stay_on_their_grid():
    space = space_of(
        ("Int", "units", dict(min_value=16, max_value=512, step=16)),
        (
            "Int",
            "deep",
            dict(min_value=2, max_value=64, step=2, sampling="log"),
        ),
    )
    tried = [
        dict(units=u, deep=d)
        for u, d in ((64, 8), (80, 4), (112, 8), (32, 16), (144, 2))
    ]
    new = narrow(space, tried)
    assert (new["units"].min_value, new["units"].max_value) == (32, 144)
    assert set(new["deep"].values) == {2, 4, 8, 16}


def test_whole_numbers_on_a_logarithmic_scale_keep_to_their_limits():
    space = space_of(
        ("Int", "units", dict(min_value=8, max_value=512, sampling="log"))
    )
    units = narrow(space, [{"units": u} for u in (512, 200, 100, 50)])["units"]
    assert (units.min_value, units.max_value) == (44, 512)


def test_choices_are_those_that_the_best_used():
    space = space_of(
        ("Choice", "optimizer", dict(values=["sgd", "adam", "rmsprop"])),
        ("Boolean", "flip", {}),
        ("Boolean", "norm", {}),
        ("Fixed", "size", dict(value=32)),
    )
    names = ["rmsprop", "sgd", "rmsprop", *["adam"] * 9]
    tried = [
        dict(optimizer=name, flip=True, norm=i % 2 == 0, size=32)
        for i, name in enumerate(names)
    ]
    new = narrow(space, tried)
    assert new["optimizer"].values == ["sgd", "rmsprop"]
    assert new["optimizer"].default == "rmsprop"
    assert new["flip"].values == (True,)
    assert set(new["norm"].values) == {True, False}
    assert new["size"].value == 32


def conditional_space():
    space = keras_tuner.HyperParameters()
    space.Choice("optimizer", ["sgd", "adam"])
    with space.conditional_scope("optimizer", ["sgd"]):
        space.Float("momentum", 0.0, 0.99)
    with space.conditional_scope("optimizer", ["adam"]):
        space.Float("beta", 0.5, 0.99)
    return space


def test_a_condition_that_no_good_trial_met_is_dropped():
    tried = [{"optimizer": "sgd", "momentum": m} for m in (0.5, 0.6, 0.7)]
    tried += [{"optimizer": "sgd", "momentum": m} for m in (0.45, 0.9)]
    tried += [{"optimizer": "adam", "beta": 0.9}] * 3
    new = narrow(conditional_space(), tried)
    assert list(new) == ["optimizer", "momentum"]
    assert new["momentum"].min_value == pytest.approx(0.4)
    assert new["momentum"].max_value == pytest.approx(0.9)
    assert [c.name for c in new["momentum"].conditions] == ["optimizer"]


def test_a_single_value_says_nothing_of_its_range():
    tried = [
        {"optimizer": "sgd", "momentum": 0.5},
        {"optimizer": "adam", "beta": 0.7},
        {"optimizer": "adam", "beta": 0.6},
    ]
    new = narrow(conditional_space(), tried)
    assert (new["momentum"].min_value, new["momentum"].max_value) == (0, 0.99)
    assert new["beta"].min_value == pytest.approx(0.5)


def test_a_space_needs_a_trial_to_narrow_around():
    with pytest.raises(ValueError, match="at least one trial"):
        narrow(space_of(RATE), [])
