import sys

import keras
import pytest

from dropzoo.models.deep_graph import allow_deep_graph


@pytest.fixture(autouse=True)
def restored_limit():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(limit)


def chain(length):
    x = y = keras.Input((1,))
    layer = keras.layers.Identity()
    for _ in range(length):
        y = layer(y)
    return keras.Model(x, y)


def test_a_deep_network_can_be_built():
    with pytest.raises(RecursionError):
        chain(1200)
    allow_deep_graph(1200)
    assert chain(1200).output_shape == (None, 1)


def test_a_shallow_network_and_a_higher_limit_change_nothing():
    allow_deep_graph(200)
    assert sys.getrecursionlimit() == 1000
    sys.setrecursionlimit(9000)
    allow_deep_graph(2000)
    assert sys.getrecursionlimit() == 9000
