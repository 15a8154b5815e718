"""Five layers beside the closed forms of what passes a layer."""

import keras
import numpy as np
import pytest
from scipy.stats import norm

from dropzoo.recipes import notes_initialisation as initialisation


def test_zero_weights_kill_every_relu_and_tell_sigmoids_nothing():
    relu = initialisation.pass_layers("zero", "relu", 0)
    assert relu.dead == 500
    assert relu.spread == [0] * 5
    sigmoid = initialisation.pass_layers("zero", "sigmoid", 0)
    assert {float(x) for sample in sigmoid.samples for x in sample} == {0.5}
    assert sigmoid.gradients[:-1] == [0] * 4


def test_wide_weights_saturate():
    """Sums of 100 products have the deviation 10, in the first layer."""
    found = initialisation.pass_layers("N(0, 1)", "tanh", 0)
    steep = np.arctanh(np.sqrt(0.9))  # where the slope is a tenth
    expected = 2 * norm.sf(steep / 10)
    share = np.mean(1 - found.samples[0] ** 2 < 0.1)
    # 2003 values of 100 columns, whose lengths differ by a fourteenth.
    assert share == pytest.approx(expected, abs=0.04)
    assert found.saturated > 0.8


def test_he_keeps_the_second_moment_of_relus():
    found = initialisation.pass_layers("He", "relu", 0)
    moments = [np.mean(sample**2) for sample in found.samples]
    # Half of N(0, 2) squared is 1. The lengths of 100 rectified weights differ
    # by sqrt(5 / 100) = 0.22 of it from layer to layer.
    ratios = np.divide(moments, [1, *moments[:-1]])
    np.testing.assert_allclose(ratios, 1, atol=0.6)
    xavier = initialisation.pass_layers("Xavier", "relu", 0)
    ratio = np.mean(xavier.samples[-1] ** 2) / np.mean(found.samples[-1] ** 2)
    # The same draws, half the variance in each of five layers.
    assert ratio == pytest.approx(0.5**5, rel=1e-3)


def test_small_weights_shrink_what_passes_tanh():
    found = initialisation.pass_layers("N(0, 0.01)", "tanh", 0)
    ratios = np.array(found.spread[1:]) / found.spread[:-1]
    # 100 inputs times a variance of 1e-4 leave a hundredth of the variance.
    np.testing.assert_allclose(ratios, 0.1, rtol=0.15)
    backwards = np.array(found.gradients[:-1]) / found.gradients[1:]
    np.testing.assert_allclose(backwards, 0.1, rtol=0.15)


def test_equal_weights_stay_equal():
    start = keras.initializers.Constant(0.1)
    assert initialisation.distinct_units(start, 0) == 1


@pytest.mark.slow
def test_random_weights_part():
    start = keras.initializers.GlorotNormal(0)
    assert initialisation.distinct_units(start, 0) == 8
    columns = initialisation.note(0).rows
    assert len(columns) == 15
