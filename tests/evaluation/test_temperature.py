"""Temperatures against closed forms, a grid, and scikit-learn's."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from dropzoo.evaluation.temperature import fit_temperature


def drawn(num_images, num_classes, seed=0):
    """Logits, and labels drawn from their softmax."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(num_images, num_classes))
    noise = rng.gumbel(size=logits.shape)  # the largest sum: a softmax draw
    return logits, (logits + noise).argmax(axis=1)


class Logits(ClassifierMixin, BaseEstimator):
    """A classifier that was given its logits."""

    def __init__(self, num_classes):
        self.num_classes = num_classes
        self.classes_ = np.arange(num_classes)

    def fit(self, x, y):
        return self

    def predict(self, x):
        return x.argmax(axis=1)

    def decision_function(self, x):
        return x


@pytest.mark.parametrize(("share", "gap"), [(0.75, 4.0), (0.6, 0.1)])
def test_one_confidence_becomes_the_share_that_is_right(share, gap):
    logits = np.tile([gap, 0.0], (100, 1))
    labels = (np.arange(100) >= 100 * share).astype(int)
    expected = gap / np.log(share / (1 - share))
    assert fit_temperature(logits, labels) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5, 40.0])
def test_a_known_temperature_comes_back(factor):
    logits, labels = drawn(20_000, 5)
    temperature = fit_temperature(factor * logits, labels)
    # The labels alone tell it to about 1 % (one standard deviation).
    assert temperature == pytest.approx(factor, rel=0.03)


def test_no_temperature_of_a_grid_is_better():
    logits, labels = drawn(300, 4)

    def loss(temperature):
        scores = log_softmax(3 * logits / temperature, axis=1)
        return -scores[np.arange(300), labels].mean()

    grid = np.geomspace(0.1, 100, 3001)  # steps of 0.23 %
    best = grid[np.argmin([loss(temperature) for temperature in grid])]
    found = fit_temperature(3 * logits, labels)
    assert found == pytest.approx(best, rel=3e-3)
    assert loss(found) <= loss(best)


def test_it_is_the_temperature_of_scikit_learn():
    logits, labels = drawn(400, 3)
    logits *= 5
    oracle = CalibratedClassifierCV(
        FrozenEstimator(Logits(3)), method="temperature"
    ).fit(logits, labels)
    found = softmax(logits / fit_temperature(logits, labels), axis=1)
    np.testing.assert_allclose(found, oracle.predict_proba(logits), atol=1e-6)


def test_huge_logits_do_not_overflow():
    logits, labels = drawn(2000, 5)
    temperature = fit_temperature(500 * logits, labels)
    assert temperature == pytest.approx(500, rel=0.1)


def test_images_that_are_all_right_are_refused():
    logits, _ = drawn(50, 3)
    with pytest.raises(ValueError, match="50 images, all of them right"):
        fit_temperature(logits, logits.argmax(axis=1))


def test_a_model_worse_than_guessing_is_refused():
    logits, labels = drawn(500, 3)
    with pytest.raises(ValueError, match="no better than guessing"):
        fit_temperature(-logits, labels)
