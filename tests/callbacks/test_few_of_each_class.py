import numpy as np
import pytest

from dropzoo.callbacks.few_of_each_class import few_of_each_class


def test_all_classes_come_before_any_comes_twice():
    labels = np.random.default_rng(0).permutation([0] * 9 + [1] * 9 + [2] * 2)
    chosen = labels[few_of_each_class(labels, 7)]
    assert list(chosen) == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("most", [1, 20])
def test_no_position_comes_twice(most):
    positions = few_of_each_class(np.array([4, 4, 4]), most)
    assert list(positions) == [0, 1, 2][:most]
