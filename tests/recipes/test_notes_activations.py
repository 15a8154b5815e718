"""Slopes beside the formulas of the functions, and units that are dead."""

import numpy as np
import pytest

from dropzoo.recipes import notes_activations as activations

X = np.random.default_rng(0).normal(size=(40, 64)).astype("float32")
SLOPES = {
    "sigmoid": lambda a: 1 / (2 + np.exp(a) + np.exp(-a)),
    "tanh": lambda a: 1 / np.cosh(a) ** 2,
    "ReLU": lambda a: (a > 0) * 1.0,
    "Leaky ReLU": lambda a: np.where(a > 0, 1, 0.3),
    "PReLU": lambda a: (a > 0) * 1.0,  # its slope on the left begins at 0
    "ELU": lambda a: np.where(a > 0, 1, np.exp(a)),
    "Maxout": lambda a: np.ones((len(a), 64)),  # of the larger piece
}


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_slopes_are_those_of_the_formula(name):
    network = activations.build(name)
    first, *others = activations.slopes(network, X)
    kernel, bias = network.layers[0].get_weights()
    expected = SLOPES[name](X @ kernel + bias)
    np.testing.assert_allclose(first, expected, rtol=1e-3, atol=1e-5)
    assert [slope.shape for slope in others] == [(40, 64)] * 2


@pytest.mark.parametrize(
    ("name", "share"), [("ReLU", 0.75), ("ELU", 0.75), ("Maxout", 0)]
)
def test_units_pushed_far_down_are_dead_unless_a_piece_is_left(name, share):
    network = activations.build(name)
    kernel, bias = network.layers[0].get_weights()
    step = 2 if name == "Maxout" else 1  # one of its two pieces
    bias[::step][:48] = -1000
    network.layers[0].set_weights([kernel, bias])
    first, *_ = activations.slopes(network, X)
    assert np.mean(first.max(axis=0) < activations.FLAT) == share
    assert activations.dead_share(network, X) >= share / 3


@pytest.mark.slow
def test_relu_dies_of_a_high_rate_and_maxout_does_not():
    relu, maxout = (activations.train(name, 0) for name in ("ReLU", "Maxout"))
    assert relu[-1].dead > relu[0].dead + 0.1
    assert maxout[-1].dead == 0
    assert max(relu[1].accuracy, maxout[1].accuracy) > 0.85
