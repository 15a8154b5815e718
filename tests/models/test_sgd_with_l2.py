import keras
import numpy as np
import pytest

from dropzoo.models.sgd_with_l2 import SGDWithL2

RATE, MOMENTUM, L2 = 0.1, 0.9, 0.05


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


@pytest.fixture
def gradients():
    return np.random.default_rng(1).normal(size=(5, 4, 3)).astype("float32")


def trained(optimizer, values, gradients):
    variable = keras.Variable(values)
    for gradient in gradients:
        optimizer.apply([keras.ops.array(gradient)], [variable])
    return keras.ops.convert_to_numpy(variable)


@pytest.mark.parametrize("nesterov", [False, True])
def test_steps_are_those_of_the_formula(values, gradients, nesterov):
    optimizer = SGDWithL2(L2, RATE, momentum=MOMENTUM, nesterov=nesterov)
    weights, velocity = values.astype("float64"), 0.0
    for gradient in gradients:
        decayed = gradient + L2 * weights
        velocity = MOMENTUM * velocity - RATE * decayed
        look_ahead = MOMENTUM * velocity - RATE * decayed
        weights = weights + (look_ahead if nesterov else velocity)
    found = trained(optimizer, values, gradients)
    np.testing.assert_allclose(found, weights, rtol=1e-5, atol=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize("nesterov", [False, True])
def test_steps_are_those_of_pytorch(values, gradients, nesterov):
    import torch

    weights = torch.nn.Parameter(torch.tensor(values))
    optimizer = torch.optim.SGD(
        [weights], RATE, MOMENTUM, weight_decay=L2, nesterov=nesterov
    )
    for gradient in gradients:
        weights.grad = torch.tensor(gradient)
        optimizer.step()
    ours = SGDWithL2(L2, RATE, momentum=MOMENTUM, nesterov=nesterov)
    found = trained(ours, values, gradients)
    np.testing.assert_allclose(found, weights.detach().numpy(), atol=1e-6)


def test_without_l2_it_is_sgd(values, gradients):
    ours = trained(SGDWithL2(0.0, RATE, momentum=MOMENTUM), values, gradients)
    plain = keras.optimizers.SGD(RATE, momentum=MOMENTUM)
    np.testing.assert_allclose(
        ours, trained(plain, values, gradients), atol=1e-6
    )


def test_accumulated_gradients_decay_once(values, gradients):
    twice = np.repeat(gradients, 2, axis=0)
    optimizer = SGDWithL2(
        L2, RATE, momentum=MOMENTUM, gradient_accumulation_steps=2
    )
    plain = SGDWithL2(L2, RATE, momentum=MOMENTUM)
    np.testing.assert_allclose(
        trained(optimizer, values, twice),
        trained(plain, values, gradients),
        atol=1e-6,
    )


def test_the_configuration_round_trips():
    optimizer = SGDWithL2(L2, RATE, momentum=MOMENTUM, nesterov=True)
    again = SGDWithL2.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert again.l2 == L2


def test_a_negative_l2_is_refused():
    with pytest.raises(ValueError, match="`l2` must be at least 0"):
        SGDWithL2(-1e-4)
