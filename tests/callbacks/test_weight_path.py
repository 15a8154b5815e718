"""Moves of weights on paths that are known."""

import keras
import numpy as np
import pytest

from dropzoo.callbacks.weight_path import FOLLOWED, WeightPath


def path_over(places, path=None):
    path = path or WeightPath()
    for number, place in enumerate(places):
        variables = [keras.Variable(np.array(place, "float32"))]
        if number:
            path.go_on(variables, steps=5)
        else:
            path.start(variables)
    return path


def test_a_straight_path_does_not_turn():
    path = path_over([[1.0, 0.0], [1.1, 0.2], [1.2, 0.4], [1.5, 1.0]])
    np.testing.assert_allclose(path.turns, [1, 1], rtol=1e-6)


def test_steps_to_and_fro_go_back():
    path = path_over([[1.0], [2.0], [1.5], [2.5]])
    np.testing.assert_allclose(path.turns, [-1, -1], rtol=1e-6)


def test_the_cosine_is_that_of_the_moves():
    path = path_over([[0.0, 1.0], [1.0, 1.0], [2.0, 2.0]])
    np.testing.assert_allclose(path.turns, [np.sqrt(0.5)], rtol=1e-6)


def test_paces_are_shares_of_the_weights_for_each_step():
    path = path_over([[3.0, 4.0], [3.0, 4.5], [3.0, 4.5]])
    np.testing.assert_allclose(path.paces, [0.1 / 5, 0], rtol=1e-6)


def test_weights_that_rest_have_no_direction():
    path = path_over([[1.0, 1.0]] * 3)
    assert path.turns == [0]


def test_a_sample_of_many_weights_tells_the_turn():
    rng = np.random.default_rng(0)
    places = np.cumsum(rng.normal(size=(3, 200 * FOLLOWED)), axis=0)
    path = path_over(places)
    assert len(path.get_state()["_at"]) == FOLLOWED
    assert path.turns[0] == pytest.approx(0, abs=4 / np.sqrt(FOLLOWED))


def test_other_weights_begin_a_new_path():
    path = path_over([[0.0, 1.0], [1.0, 1.0]])
    path_over([[0.0], [1.0], [3.0]], path)
    np.testing.assert_allclose(path.turns, [1])


def test_a_state_goes_on_where_it_was_taken():
    whole = path_over([[1.0, 0.0], [1.1, 0.2], [1.4, 0.2]])
    half, rest = path_over([[1.0, 0.0], [1.1, 0.2]]), WeightPath()
    rest.set_state(half.get_state())
    rest.go_on([keras.Variable(np.array([1.4, 0.2], "float32"))], steps=5)
    assert rest.get_state() == whole.get_state()


def test_a_model_without_weights_has_no_direction():
    assert path_over([[], [], []]).turns == []
