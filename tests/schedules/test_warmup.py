import math

import keras
import numpy as np
import pytest

from dropzoo.schedules import Warmup

COSINE = {"initial_learning_rate": 0.1, "decay_steps": 20}


def cosine():
    return keras.optimizers.schedules.CosineDecay(**COSINE)


def rate_by_hand(step, warmup_steps):
    """The two formulas of the docstring, in float64."""
    if step < warmup_steps:
        return 0.1 * (step + 1) / (warmup_steps + 1)
    after = min(step - warmup_steps, 20)
    return 0.1 * (1 + math.cos(math.pi * after / 20)) / 2


@pytest.mark.parametrize("warmup_steps", [0, 1, 4, 30])
def test_rates_rise_to_the_schedule_and_follow_it(warmup_steps):
    schedule = Warmup(cosine(), warmup_steps)
    rates = [float(schedule(step)) for step in range(60)]
    expected = [rate_by_hand(step, warmup_steps) for step in range(60)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("warmup_steps", [0, 1, 7, 100])
def test_the_rate_that_was_asked_for_is_reached_exactly(warmup_steps):
    schedule = Warmup(cosine(), warmup_steps)
    assert float(schedule(warmup_steps)) == np.float32(0.1)
    before = [float(schedule(step)) for step in range(warmup_steps)]
    assert all(0 < rate < np.float32(0.1) for rate in before)


def test_no_warmup_is_the_schedule_itself():
    schedule, plain = Warmup(cosine(), 0), cosine()
    for step in (0, 1, 19, 25):
        assert float(schedule(step)) == float(plain(step))


def test_an_optimizer_takes_its_rate_step_by_step():
    variable = keras.Variable([1.0])
    optimizer = keras.optimizers.SGD(Warmup(cosine(), 3))
    values = [1.0]
    for _ in range(6):
        optimizer.apply([keras.ops.ones(1)], [variable])
        values.append(keras.ops.convert_to_numpy(variable).item())
    expected = [rate_by_hand(step, 3) for step in range(6)]
    np.testing.assert_allclose(-np.diff(values), expected, rtol=1e-4)


def test_it_comes_back_from_its_config():
    schedule = Warmup(cosine(), 3)
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, Warmup)
    assert again.get_config() == schedule.get_config()
    assert float(again(9)) == float(schedule(9))


def test_it_comes_back_inside_a_compiled_model(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(Warmup(cosine(), 3)), "mse")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    rate = again.optimizer.get_config()["learning_rate"]
    assert rate == model.optimizer.get_config()["learning_rate"]


def test_a_negative_number_of_steps_is_refused():
    with pytest.raises(ValueError, match="at least 0. .*warmup_steps=-1"):
        Warmup(cosine(), -1)


@pytest.mark.parametrize("schedule", [0.1, None, "cosine"])
def test_what_is_no_schedule_is_refused(schedule):
    with pytest.raises(TypeError, match="`schedule` must be a .*Received"):
        Warmup(schedule, 3)


def test_steps_are_told_apart_in_the_longest_trainings():
    """2 ** 24 + 1 is no number of float32."""
    constant = keras.optimizers.schedules.PiecewiseConstantDecay(
        [0], [1.0, 2.0]
    )
    schedule = Warmup(constant, 2**24 + 1)
    assert float(schedule(2**24 + 1)) == 1
    assert float(schedule(2**24 + 2)) == 2
