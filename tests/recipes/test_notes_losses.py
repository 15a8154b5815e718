"""The numbers that notes print, and closed forms beside Keras's gradients."""

import math

import numpy as np
import pytest
from scipy.special import expit

from dropzoo.recipes import notes_losses as losses

# Weight and bias: output, loss, gradients. The notes square the output as they
# print it, and get 0.2815 of 0.7503.
PRINTED = {
    (0.4, 0.5): (0.7503, 0.2814, 0.2109, 0.1406),
    (1.9, 3.0): (0.9971, 0.4971, 0.0043, 0.0029),
}


@pytest.mark.parametrize("start", losses.STARTS)
@pytest.mark.parametrize("loss", losses.LOSSES)
def test_the_neuron_has_the_gradient_of_the_formula(start, loss):
    found, outputs = losses.descend(start, loss, 2)
    x, y = losses.INPUT, losses.TARGET
    output = expit(start[0] * x + start[1])
    if loss == "cross-entropy":
        error, slope = -math.log(1 - output), output - y
    else:
        error = (output - y) ** 2 / 2
        slope = (output - y) * output * (1 - output)
    gradients = found.weight_gradient, found.bias_gradient
    assert found.output == pytest.approx(output, rel=1e-5)
    assert found.loss == pytest.approx(error, rel=1e-4)
    # A difference of weights in float32, over the rate.
    assert gradients == pytest.approx((slope * x, slope), abs=5e-6)
    assert outputs[0] > outputs[1]
    if loss == "squared error":
        values = (found.output, found.loss, *gradients)
        for value, printed in zip(values, PRINTED[start], strict=True):
            assert round(value, 4) == printed


def test_the_notes_square_a_rounded_output():
    assert losses._rounded(round(expit(0.4 * 1.5 + 0.5), 4)) == "0.2815"


@pytest.mark.parametrize(("p", "printed"), [(0.98, 0.0291), (1e-4, 13.2877)])
def test_cross_entropy_in_bits(p, printed):
    assert losses.bits(p) == pytest.approx(-math.log2(p), rel=1e-5)
    assert round(losses.bits(p), 4) == printed


def test_log_likelihood_is_of_the_true_class_alone():
    assert losses.log_likelihood(0.098) == pytest.approx(-math.log(0.098))


def test_the_hinge_loss_is_summed_over_the_other_classes():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(20, 5)), rng.integers(5, size=20)
    expected = [
        sum(max(0, row[j] - row[label] + 1) for j in range(5) if j != label)
        for row, label in zip(scores, labels, strict=True)
    ]
    found = losses.summed_hinge(np.eye(5)[labels], scores)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert losses._hinges() == "5 summed over classes, 3 by Keras"


@pytest.mark.slow
def test_cross_entropy_leaves_saturation_sooner():
    curves = losses.train_saturated(0, epochs=losses.EARLY)
    squared, entropy = (curves[loss][-1] for loss in losses.LOSSES)
    assert entropy > squared + 0.1
