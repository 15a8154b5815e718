"""Whether two loads gave the same photos in the same splits."""

import numpy as np
import pytest

from dropzoo.data import load


@pytest.fixture
def archive(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), "uint8")

    def save(**changes):
        content = {"x": images, "y": np.arange(40) % 2, **changes}
        np.savez(tmp_path / "photos.npz", **content)
        return f"npz:{tmp_path / 'photos.npz'}"

    save.images = images
    return save


def test_the_same_photos_have_the_same_digest(archive):
    source = archive()
    assert load(source).digest() == load(source).digest()


def test_another_split_has_another_digest(archive):
    source = archive()
    assert load(source).digest() != load(source, seed=1).digest()


def test_a_changed_photo_has_another_digest(archive):
    before = load(archive()).digest()
    changed = archive.images.copy()
    changed[3, 0, 0, 0] ^= 1
    assert load(archive(x=changed)).digest() != before


def test_a_changed_label_has_another_digest(archive):
    before = load(archive()).digest()
    labels = np.arange(40) % 2
    labels[[3, 4]] = labels[[4, 3]]
    assert load(archive(y=labels)).digest() != before
