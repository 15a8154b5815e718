import pytest

from dropzoo.search.parameter_axis import ParameterAxis, axis_of, short
from dropzoo.search.trial_record import TrialRecord
from dropzoo.search.tuned_parameter import TunedParameter

RATE = TunedParameter("rate", (1e-6, 1e-2), log=True)
KIND = TunedParameter("kind", choices=("a", "b", "c"))


def trial(**values):
    return TrialRecord("0", 1, values, 0.5, "COMPLETED", 1, 1.0, None)


def test_equal_factors_are_equal_steps_where_logarithms_were_drawn():
    axis = ParameterAxis(RATE)
    places = [axis.place(10.0**-k) for k in (6, 5, 4, 3, 2)]
    assert places == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_equal_differences_are_equal_steps_elsewhere():
    axis = ParameterAxis(TunedParameter("rate", (2, 6)))
    assert [axis.place(x) for x in (2, 3, 4, 6)] == [0, 0.25, 0.5, 1]
    assert [text for _, text in axis.ticks()] == ["2", "3", "4", "5", "6"]


def test_choices_stand_side_by_side_and_their_trials_apart():
    axis = ParameterAxis(KIND)
    assert [axis.place(x) for x in "abc"] == pytest.approx([1 / 6, 0.5, 5 / 6])
    aside = [axis.place("b", spread) for spread in (-1, 1)]
    assert 1 / 3 < aside[0] < 0.5 < aside[1] < 2 / 3


def test_trials_without_the_parameter_have_a_place_of_their_own():
    axis = axis_of(RATE, [trial(rate=1e-6), trial()])
    assert axis.place(None) < axis.place(1e-6) < axis.place(1e-2) == 1
    assert axis.ticks()[0] == (axis.place(None), "\N{EN DASH}")
    assert not axis_of(RATE, [trial(rate=1e-6)]).has_absent


def test_what_lies_beyond_the_declared_range_has_a_place():
    axis = axis_of(RATE, [trial(rate=1e-1), trial(rate=1e-2)])
    assert axis.place(1e-1) == 1 > axis.place(1e-2)
    assert axis_of(KIND, [trial(kind="d")]).place("d") == pytest.approx(7 / 8)


@pytest.mark.parametrize(
    ("ends", "texts"),
    [
        ((1e-6, 1e-2), ["1e-6", "1e-5", "1e-4", "0.001", "0.01"]),
        ((1e-9, 1e2), ["1e-9", "1e-7", "1e-5", "0.001", "0.1", "10"]),
        ((1e-3, 8e-3), ["0.001", "0.002", "0.005"]),
        ((3e-3, 4e-3), ["0.003", "0.004"]),
    ],
)
def test_logarithmic_ticks_are_few_and_round(ends, texts):
    axis = ParameterAxis(TunedParameter("rate", ends, log=True))
    assert [text for _, text in axis.ticks()] == texts


def test_long_values_are_cut():
    assert short("x" * 30) == "x" * 19 + "\N{HORIZONTAL ELLIPSIS}"
    assert short(True) == "yes"
