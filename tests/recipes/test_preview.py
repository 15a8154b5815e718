import numpy as np
import pytest
from PIL import Image

from dropzoo.data import load
from dropzoo.data.augmented_batches import AugmentedBatches
from dropzoo.recipes import preview


@pytest.fixture(scope="module")
def digits():
    return load("digits", limit=40)


def picture(path, digits, *names) -> np.ndarray:
    batches = AugmentedBatches(
        digits.train,
        num_classes=10,
        size=(8, 8),
        batch_size=8,
        epochs=2,
        names=names,
    )
    preview.draw_preview(path, batches, digits.class_names)
    return np.asarray(Image.open(path).convert("RGB"))


def test_changes_and_mixtures_are_seen(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(preview, "ROWS", 3)
    monkeypatch.setattr(preview, "COLUMNS", 3)
    plain = picture(tmp_path / "plain.png", digits)
    changed = picture(tmp_path / "changed.png", digits, "shift", "cutmix")
    assert plain.shape == changed.shape
    first, others = plain.shape[1] // 5, plain.shape[1] // 3
    below = plain.shape[0] // 8  # the heading
    np.testing.assert_array_equal(
        plain[below:, :first], changed[below:, :first]
    )
    assert not np.array_equal(plain[below:, others:], changed[below:, others:])
