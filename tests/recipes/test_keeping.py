"""What is kept is what was trained."""

import keras
import numpy as np
import pytest

from dropzoo.data import load
from dropzoo.models import starting_point
from dropzoo.recipes.keeping import Outcome, keep_model
from dropzoo.recipes.run_folder import RunFolder


@pytest.fixture
def network():
    return starting_point.from_catalogue("tiny", None, 32).with_classifier(3, 0)


def test_the_saved_model_gives_what_the_network_gives(
    network, photos, tmp_path
):
    data = load(str(photos))
    keep_model(RunFolder(tmp_path), network, data)
    saved = keras.saving.load_model(tmp_path / "model.keras")
    photo = data.train.read(0)[np.newaxis]
    expected = keras.ops.softmax(network(photo))
    np.testing.assert_allclose(saved(photo), expected, atol=1e-6)


def test_a_model_that_changes_when_saved_is_not_kept(
    network, photos, tmp_path, monkeypatch
):
    def load_another(path, **kwargs):
        model = keras.Model.from_config(original(path, **kwargs).get_config())
        return model

    original = keras.saving.load_model
    monkeypatch.setattr(keras.saving, "load_model", load_another)
    with pytest.raises(RuntimeError, match="differs from the trained one"):
        keep_model(RunFolder(tmp_path), network, load(str(photos)))
    assert list(tmp_path.iterdir()) == []


def test_without_test_photos_nothing_is_claimed():
    assert Outcome().lines() == [
        "There are no test photos, so nothing was measured."
    ]
