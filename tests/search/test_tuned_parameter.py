import keras_tuner
import pytest

from dropzoo.search.tuned_parameter import (
    TunedParameter,
    joined,
    parameters_of,
)


def test_every_kind_that_kerastuner_knows_is_read():
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-5, 1e-1, sampling="log")
    hp.Int("units", 8, 64, step=8)
    hp.Choice("kind", ["a", "b"])
    hp.Boolean("wide")
    hp.Fixed("depth", 3)
    found = parameters_of(hp.get_config()["space"])
    assert found == (
        TunedParameter("rate", (1e-5, 1e-1), log=True),
        TunedParameter("units", (8, 64)),
        TunedParameter("kind", choices=("a", "b")),
        TunedParameter("wide", choices=(False, True)),
        TunedParameter("depth", choices=(3,)),
    )
    assert [p.varies for p in found] == [True, True, True, True, False]


def test_a_name_under_two_conditions_is_one_parameter():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    for kind, ends in {"a": (0.0, 1.0), "b": (0.5, 2.0)}.items():
        with hp.conditional_scope("kind", [kind]):
            hp.Float("rate", *ends)
    _, rate = parameters_of(hp.get_config()["space"])
    assert rate == TunedParameter("rate", (0.0, 2.0))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({"ends": (1, 2), "log": True}, {"choices": (4,)}, ((1, 4), True, ())),
        ({"ends": (1, 2)}, {"choices": ("a",)}, (None, False, ("a",))),
        ({"choices": (1, 2)}, {"choices": (2, 3)}, (None, False, (1, 2, 3))),
    ],
)
def test_ranges_and_choices_are_joined(one, other, both):
    found = joined(TunedParameter("x", **one), TunedParameter("x", **other))
    assert found == TunedParameter("x", *both)
