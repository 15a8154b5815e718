import keras
import numpy as np
import pytest

from dropzoo.callbacks import SnapshotEnsemble
from dropzoo.callbacks.rate_cycles import RateCycles
from dropzoo.schedules import CyclicalLearningRate, FastGeometricCycle

TOP, BOTTOM = 0.05, 0.0005


def by_hand(steps, cycle):
    """The formula of the paper's section 4, in its own terms."""
    i = np.arange(1, steps + 1)
    t = (np.mod(i - 1, cycle) + 1) / cycle
    falling = (1 - 2 * t) * TOP + 2 * t * BOTTOM
    rising = (2 - 2 * t) * BOTTOM + (2 * t - 1) * TOP
    return np.where(t <= 0.5, falling, rising)


@pytest.mark.parametrize("cycle", [4, 6, 250])
def test_rates_are_the_papers(rates, cycle):
    found = rates(FastGeometricCycle(TOP, BOTTOM, cycle), 1000)
    np.testing.assert_allclose(found, by_hand(1000, cycle), rtol=1e-5)


def test_a_cyclical_rate_is_the_same_but_for_where_it_begins(rates):
    shifted = rates(CyclicalLearningRate(BOTTOM, TOP, 5), 50)[6:]
    found = rates(FastGeometricCycle(TOP, BOTTOM, 10), 44)
    np.testing.assert_allclose(found, shifted, rtol=1e-6)


@pytest.mark.parametrize("cycle", [4, 6, 10])
def test_its_minima_are_in_mid_cycle(cycle):
    """The paper collects weights where mod(i, c) = c / 2."""
    cycles = RateCycles(FastGeometricCycle(TOP, BOTTOM, cycle))
    found = [i for i in range(1, 41) if cycles.advance()]
    assert found == [i for i in range(1, 41) if i % cycle == cycle / 2]


def test_a_snapshot_ensemble_keeps_the_papers_members(tmp_path):
    """With a gradient of 1, a weight is the sum of the rates before."""
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    schedule = FastGeometricCycle(TOP, BOTTOM, 4)
    model.compile(
        keras.optimizers.SGD(schedule), lambda labels, x: -keras.ops.mean(x)
    )
    members = SnapshotEnsemble(tmp_path)
    ones = np.ones((12, 1), "float32")
    model.fit(
        ones, ones, batch_size=1, epochs=1, verbose=0, callbacks=[members]
    )
    moved = np.cumsum(by_hand(12, 4))
    for entry, iteration in zip(members.snapshots, (2, 6, 10), strict=True):
        assert entry["step"] == iteration
        model.load_weights(tmp_path / entry["file"])
        weight = model.get_weights()[0].item()
        np.testing.assert_allclose(weight, moved[iteration - 1], rtol=1e-5)


def test_cycles_are_exact_in_the_longest_trainings():
    schedule = FastGeometricCycle(TOP, BOTTOM, 10)
    assert float(schedule(2**31 - 1)) == float(schedule((2**31 - 1) % 10))


def test_a_minimum_above_the_maximum_is_refused():
    with pytest.raises(ValueError, match="`minimal_learning_rate` must be at"):
        FastGeometricCycle(0.1, 0.2, 4)


@pytest.mark.parametrize("steps", [2, 5])
def test_a_cycle_without_a_middle_is_refused(steps):
    with pytest.raises(ValueError, match=f"even and .*cycle_steps={steps}"):
        FastGeometricCycle(0.2, 0.1, steps)
