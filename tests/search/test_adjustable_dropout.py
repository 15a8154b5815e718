"""Dropout at a rate that is a variable."""

import keras
import numpy as np
import pytest

from dropzoo.search.adjustable_dropout import AdjustableDropout

X = np.ones((100, 50), "float32")


def test_the_share_that_is_dropped_follows_the_variable():
    layer = AdjustableDropout(seed=0)
    for rate in (0.0, 0.2, 0.5):
        layer.rate.assign(rate)
        y = keras.ops.convert_to_numpy(layer(X, training=True))
        # 5000 draws: five standard deviations are at most 0.036.
        assert (y == 0).mean() == pytest.approx(rate, abs=0.036)
        np.testing.assert_allclose(y[y > 0], 1 / (1 - rate), rtol=1e-6)


def test_inference_is_identity():
    layer = AdjustableDropout(0.5)
    np.testing.assert_array_equal(layer(X), X)


def test_equal_seeds_draw_equally_and_the_next_call_otherwise():
    first, second = (AdjustableDropout(0.5, seed=1) for _ in range(2))
    y = np.asarray(first(X, training=True))
    np.testing.assert_array_equal(second(X, training=True), y)
    assert (np.asarray(first(X, training=True)) != y).any()


def test_its_configuration_makes_it_again():
    layer = AdjustableDropout(0.25, seed=3, name="drop")
    again = AdjustableDropout.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert float(again.rate) == 0.25


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
        AdjustableDropout(rate)
