"""Scalings beside NumPy's, and what the notes encode."""

import numpy as np
import pytest

from dropzoo.recipes import notes_preprocessing as preprocessing


def test_nominal_values_become_a_column_each():
    found = preprocessing.encode(preprocessing.PERSON, preprocessing.NOMINAL)
    expected = [1.755, 65.5, 122, 1, 0, 0, 0, 1, 0]
    np.testing.assert_allclose(found, expected)


def test_scalings_use_the_training_split_alone():
    x, labels = preprocessing.people(0)
    train = x[: preprocessing.TRAINING]
    found = preprocessing.scalings(x)
    between = (x - train.min(0)) / (train.max(0) - train.min(0))
    np.testing.assert_allclose(found["min-max"], between)
    scores = (x - train.mean(0)) / train.std(0)
    np.testing.assert_allclose(found["z-score"], scores, atol=1e-3)
    assert labels.mean() == 0.5


def test_means_are_those_of_the_training_images():
    train, others = preprocessing.small_photographs()
    image, channels = preprocessing.means(train)
    np.testing.assert_allclose(image, train.mean(0), rtol=1e-4)
    np.testing.assert_allclose(channels, train.mean((0, 1, 2)), rtol=1e-4)
    assert image.shape == (32, 32, 3)
    # Not those of the other split: a hundred images differ by their draw.
    assert np.abs(others.mean((0, 1, 2)) - channels).max() > 1


@pytest.mark.slow
def test_scaled_features_are_learned_and_others_are_not():
    x, labels = preprocessing.people(0)
    features = preprocessing.scalings(x)
    curves = preprocessing.learn(features, labels, 0)
    assert curves["z-score"][-1] < 0.2
    assert curves["as they are"][-1] > 2 * curves["z-score"][-1]
