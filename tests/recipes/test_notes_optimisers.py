"""Paths beside the update rules, written out in NumPy."""

import numpy as np
import pytest

from dropzoo.recipes import notes_optimisers
from dropzoo.recipes.notes_optimisers import CANYON, SADDLE, walk


def test_gradients_are_those_of_the_surfaces():
    for surface in (CANYON, SADDLE):
        for point in np.random.default_rng(0).normal(size=(5, 2)):
            numeric = [
                (surface.loss(point + e) - surface.loss(point - e)) / 2e-6
                for e in 1e-6 * np.eye(2)
            ]
            np.testing.assert_allclose(
                surface.gradient(point), numeric, atol=1e-8
            )
    assert SADDLE.loss(np.array([0.0, 1.0])) == pytest.approx(SADDLE.lowest)


def by_hand(name: str, steps: int) -> np.ndarray:
    """The update rules of the notes, down the canyon."""
    x = np.array(CANYON.start)
    v, m, s = np.zeros((3, 2))
    path = [x]
    for t in range(1, steps + 1):
        g = CANYON.gradient(x)
        if name == "SGD":
            x = x - 0.9 * g
        elif name in ("momentum", "Nesterov"):
            v = 0.9 * v - 0.3 * g
            x = x + (v if name == "momentum" else 0.9 * v - 0.3 * g)
        elif name == "RMSProp":
            s = 0.9 * s + 0.1 * g**2
            x = x - 0.1 * g / np.sqrt(s + 1e-7)
        elif name == "AdaGrad":
            s = (s if t > 1 else 0.1) + g**2
            x = x - 0.9 * g / np.sqrt(s + 1e-7)
        else:
            m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
            first, second = (1 - 0.9**t, 1 - 0.999**t)
            if "uncorrected" in name:
                first = second = 1
            x = x - 0.2 * m / first / (np.sqrt(s / second) + 1e-7)
        path.append(x)
    return np.stack(path)


@pytest.mark.parametrize("name", notes_optimisers.OPTIMISERS)
def test_keras_follows_the_rule(name):
    optimizer = notes_optimisers.OPTIMISERS[name]()
    path = walk(optimizer, CANYON.gradient, CANYON.start, 6)
    np.testing.assert_allclose(path, by_hand(name, 6), rtol=2e-4, atol=1e-4)


def test_without_correction_the_first_step_is_3_16_times_as_long():
    lengths = [
        abs(walk(create(), CANYON.gradient, CANYON.start, 1)[1] - CANYON.start)
        for create in (
            notes_optimisers.OPTIMISERS["uncorrected Adam"],
            notes_optimisers.OPTIMISERS["Adam"],
        )
    ]
    expected = 0.1 / np.sqrt(0.001)
    np.testing.assert_allclose(lengths[0] / lengths[1], expected, rtol=1e-4)


def test_lbfgs_is_at_the_bottom_in_a_few_gradients():
    path, asked = notes_optimisers.walk_lbfgs(CANYON)
    assert CANYON.loss(path[-1]) < 1e-8
    assert asked < 15


def test_the_examples_make_the_canyon():
    inputs, targets = notes_optimisers.regression(0)
    second_moments = inputs.T @ inputs / len(inputs)
    np.testing.assert_allclose(
        second_moments, np.diag(notes_optimisers.CURVATURES), atol=1e-12
    )
    np.testing.assert_allclose(inputs.T @ targets, 0, atol=1e-10)


def test_mini_batches_do_not_come_to_rest():
    whole, few = (notes_optimisers.walk_in_batches(size, 0) for size in (64, 2))
    shrinking = (1 - 0.3 * notes_optimisers.CURVATURES) ** np.c_[:81]
    np.testing.assert_allclose(whole, shrinking * CANYON.start, atol=1e-4)
    assert notes_optimisers.shaking(few) > 0.05
    assert notes_optimisers.shaking(whole) < 1e-5


def test_steps_are_counted_to_the_last_point_above():
    path = np.array([[-8.0, 1.5], [0.0, 0.0], [8.0, 0.0], [0.1, 0.0]])
    assert CANYON.left(path)[:2].tolist() == [1, 0]
    assert notes_optimisers.steps_to(path, CANYON, 0.01) == 3
    assert notes_optimisers.steps_to(path[:3], CANYON, 0.01) is None
