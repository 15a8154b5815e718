"""Noise beside the formula of sampling, and where a training ends."""

import numpy as np
import pytest
from scipy.special import softmax

from dropzoo.recipes import notes_batch_size as batch_size


@pytest.fixture(scope="module")
def network():
    return batch_size.build(0)


def test_the_gradient_is_that_of_the_formula(network):
    x, y = (part[:30] for part in batch_size.digits())
    kernel, bias, last, last_bias = network.get_weights()
    hidden = np.maximum(x @ kernel + bias, 0)
    errors = softmax(hidden @ last + last_bias, axis=1) - np.eye(10)[y]
    back = errors @ last.T * (hidden > 0)
    expected = [x.T @ back, back.sum(0), hidden.T @ errors, errors.sum(0)]
    expected = np.concatenate([part.ravel() / 30 for part in expected])
    found = batch_size.gradient(network, x, y)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_noise_falls_with_the_root_of_the_batch_size(network):
    few, more, whole = (
        batch_size.noise(network, size, 0) for size in (10, 160, 1000)
    )
    # Draws without replacement: sqrt((1 - 160 / 1000) / (1 - 10 / 1000)).
    expected = np.sqrt(10 / 160) * np.sqrt(0.84 / 0.99)
    assert more / few == pytest.approx(expected, rel=0.15)
    assert whole < 1e-5


def test_a_step_holds_inputs_and_outputs(network):
    assert batch_size.held_kilobytes(network, 1000) == 4 * (64 + 64 + 10)


def test_early_stopping_reads_a_curve():
    falling = [1 / n for n in range(1, 30)]
    assert batch_size.early_stop(falling) == (29, 29)
    assert batch_size.early_stop([*falling, *[1] * 30]) == (29, 39)


@pytest.mark.slow
def test_more_steps_learn_more_and_take_longer():
    small, whole = (batch_size.train(size, 0) for size in (10, 1000))
    assert small.val_losses[-1] < 0.5 < whole.val_losses[-1]
    assert small.seconds > whole.seconds
