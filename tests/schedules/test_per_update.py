import keras
import numpy as np
import pytest

from dropzoo.schedules import PerUpdate, SnapshotCosine

STEPS = 4


def falling():
    return SnapshotCosine(0.1, 8, 1)


def accumulate(learning_rate, batches):
    """How far each batch with a gradient of 1 moves a weight."""
    weight = keras.Variable([0.0])
    optimizer = keras.optimizers.SGD(
        learning_rate, gradient_accumulation_steps=STEPS
    )
    weights = [0.0]
    for _ in range(batches):
        optimizer.apply([keras.ops.ones(1)], [weight])
        weights.append(keras.ops.convert_to_numpy(weight).item())
    return -np.diff(weights).reshape(-1, STEPS)


def test_batches_that_are_held_back_do_not_advance_it():
    moved = accumulate(PerUpdate(falling(), STEPS), 3 * STEPS)
    expected = [float(falling()(update)) for update in range(3)]
    assert (moved[:, :-1] == 0).all()
    np.testing.assert_allclose(moved[:, -1], expected, rtol=1e-5)


def test_without_it_keras_counts_every_batch():
    """If this fails, Keras counts updates now, and `PerUpdate` is wrong."""
    moved = accumulate(falling(), 2 * STEPS)
    expected = [float(falling()(step)) for step in (STEPS - 1, 2 * STEPS - 1)]
    np.testing.assert_allclose(moved[:, -1], expected, rtol=1e-5)


def test_one_step_is_the_schedule_itself(rates):
    assert (rates(PerUpdate(falling(), 1), 12) == rates(falling(), 12)).all()


@pytest.mark.parametrize("schedule", [0.1, None, "cosine"])
def test_what_is_no_schedule_is_refused(schedule):
    with pytest.raises(TypeError, match="`schedule` must be a .*Received"):
        PerUpdate(schedule, 2)
