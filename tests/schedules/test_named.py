import inspect

import keras
import numpy as np
import pytest

from dropzoo import schedules
from dropzoo.schedules.named import BUILDERS

STEPS = 140  # a multiple of the cycles of every schedule


@pytest.fixture
def per_step(rates):
    """Like `rates`; PyTorch gives a piecewise schedule one step at a time."""
    if keras.backend.backend() != "torch":
        return rates
    return lambda schedule, steps: np.array(
        [float(schedule(step)) for step in range(steps)]
    )


every_name = pytest.mark.parametrize("name", BUILDERS)


@every_name
def test_no_rate_is_above_the_peak(name, per_step):
    schedule = schedules.get(name, peak=0.1, steps=STEPS)
    found = per_step(schedule, STEPS)
    assert (found > 0).all()
    assert found.max() <= 0.1 * (1 + 1e-6)
    if name != "exp_range":  # whose peaks fall from the first step on
        assert found.max() > 0.0999


@every_name
def test_a_warmup_comes_before_it_within_the_steps(name, per_step):
    plain = schedules.get(name, peak=0.1, steps=STEPS)
    warmed = schedules.get(name, peak=0.1, steps=STEPS + 10, warmup_steps=10)
    assert isinstance(warmed, schedules.Warmup)
    expected = per_step(plain, STEPS)
    found = per_step(warmed, STEPS + 10)
    np.testing.assert_allclose(found[10:], expected, rtol=1e-6, atol=1e-9)
    assert (found[:10] < expected[0]).all()


@every_name
def test_it_comes_back_from_its_config(name):
    schedule = schedules.get(name, peak=0.1, steps=STEPS)
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(schedule)
    assert float(again(33)) == float(schedule(33))


@every_name
def test_the_docstring_names_it_with_its_options(name):
    (row,) = (
        line
        for line in inspect.getdoc(schedules.get).splitlines()
        if line.startswith(f'| `"{name}"`')
    )
    for option in list(inspect.signature(BUILDERS[name]).parameters)[2:]:
        assert option in row or "`OneCycle`" in row


def test_one_cycle_takes_the_options_of_its_class():
    options = {"shape", "warmup_share", "initial_divisor", "final_divisor"}
    taken = set(inspect.signature(BUILDERS["one_cycle"]).parameters)
    assert taken == {"peak", "steps"} | options
    schedule = schedules.get(
        "one_cycle", peak=0.1, steps=STEPS, shape="fastai", warmup_share=0.4
    )
    assert schedule.get_config()["shape"] == "fastai"
    assert schedule.get_config()["warmup_share"] == 0.4


t = np.arange(STEPS)
BY_HAND = {
    "cosine": 0.05 * (np.cos(np.pi * t / STEPS) + 1),
    "snapshot": 0.05 * (np.cos(np.pi * (t % 28) / 28) + 1),
    "step": 0.1 * 0.1 ** (t // 47),
    "piecewise": np.where(t < 70, 0.1, np.where(t < 105, 0.01, 0.001)),
    "exponential": 0.1 * np.exp(-np.log(100) / STEPS * t),
    "inverse_time": 0.1 / (1 + 99 / STEPS * t),
    "polynomial": 0.1 * (1 - t / STEPS),
    "triangular": 0.025
    + 0.075 * (1 - np.abs(t / 14 - 2 * np.floor(1 + t / 28) + 1)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_defaults_are_those_of_the_table(name, per_step):
    schedule = schedules.get(name, peak=0.1, steps=STEPS)
    np.testing.assert_allclose(
        per_step(schedule, STEPS), BY_HAND[name], rtol=1e-5, atol=1e-8
    )


def test_restarts_come_at_doubled_distances(per_step):
    schedule = schedules.get("cosine_restarts", peak=0.1, steps=STEPS)
    (restarts,) = np.nonzero(np.diff(per_step(schedule, STEPS)) > 0)
    assert (restarts + 1).tolist() == [20, 60]


@pytest.mark.parametrize(
    ("options", "final"),
    [
        (("exponential", {"final_share": 0.5}), 0.05),
        (("inverse_time", {"final_share": 0.2}), 0.02),
        (("step", {"drops": 1, "factor": 0.5}), 0.025),
        (("piecewise", {"shares": (0.1,), "factor": 0.3}), 0.03),
        (("polynomial", {"power": 2.0}), 0.0),
    ],
)
def test_options_reach_the_schedule(options, final):
    name, options = options
    schedule = schedules.get(name, peak=0.1, steps=100, **options)
    np.testing.assert_allclose(float(schedule(100)), final, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("onecycle", "did you mean 'one_cycle'"),
        ("snapshots", "did you mean 'snapshot'"),
        ("xyz", "the names are cosine, "),
    ],
)
def test_an_unknown_name_offers_close_ones(name, hint):
    with pytest.raises(ValueError, match=f"name='{name}'; {hint}"):
        schedules.get(name, peak=0.1, steps=10)


@pytest.mark.parametrize(
    ("name", "has"), [("snapshot", "cycles"), ("cosine", "none")]
)
def test_an_unknown_option_is_refused(name, has):
    with pytest.raises(ValueError, match=f"`turns` must .*which has {has}"):
        schedules.get(name, peak=0.1, steps=10, turns=2)


@pytest.mark.parametrize("peak", [0, -0.1, float("nan")])
def test_a_peak_outside_its_range_is_refused(peak):
    with pytest.raises(ValueError, match=f"`peak` must be .*peak={peak}"):
        schedules.get("cosine", peak=peak, steps=10)


@pytest.mark.parametrize("steps", [0, -5])
def test_a_training_without_steps_is_refused(steps):
    with pytest.raises(ValueError, match=f"`steps` must be .*steps={steps}"):
        schedules.get("cosine", peak=0.1, steps=steps)


@pytest.mark.parametrize("warmup_steps", [-1, 10, 11])
def test_a_warmup_that_leaves_no_steps_is_refused(warmup_steps):
    with pytest.raises(ValueError, match="`warmup_steps` must be .*steps=10"):
        schedules.get("cosine", peak=0.1, steps=10, warmup_steps=warmup_steps)


@pytest.mark.parametrize(
    ("name", "steps", "hint"),
    [
        ("triangular", 101, "take 100 or 110"),
        ("exp_range", 7, "take 10"),
        ("cosine_restarts", 20, "take 14 or 21"),
    ],
)
def test_cycles_that_do_not_divide_the_steps_are_refused(name, steps, hint):
    with pytest.raises(ValueError, match=f"Received: {steps} steps; {hint}"):
        schedules.get(name, peak=0.1, steps=steps)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("triangular", "cycles", 0),
        ("cosine_restarts", "cycles", 0),
        ("snapshot", "num_cycles", 0),
        ("step", "drops", -1),
        ("step", "factor", 0.0),
        ("piecewise", "shares", (0.5, 1.5)),
        ("exponential", "final_share", 0),
        ("inverse_time", "final_share", 2),
    ],
)
def test_an_option_outside_its_range_is_refused(name, option, value):
    given = {option.removeprefix("num_"): value}
    with pytest.raises(ValueError, match=f"`{option}` must be .*Received"):
        schedules.get(name, peak=0.1, steps=100, **given)


def test_a_whole_number_is_a_peak_too():
    """Keras's own would reckon in integers."""
    schedule = schedules.get("cosine", peak=1, steps=10)
    np.testing.assert_allclose(float(schedule(5)), 0.5, rtol=1e-6)
