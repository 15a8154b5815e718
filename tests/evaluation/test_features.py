import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.data import Examples, ImageError
from dropzoo.evaluation import extract_features
from dropzoo.models import create_model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DROPZOO_CACHE", str(tmp_path))
    return tmp_path / "features"


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def read_positions():
    """Which images were read, in order."""
    return []


@pytest.fixture
def examples(pixels, read_positions):
    def read(index):
        read_positions.append(index)
        return pixels[index]

    numbers = [str(number) for number in range(len(pixels))]
    return Examples(np.zeros(len(pixels), np.int32), numbers, numbers, read)


@pytest.fixture
def backbone():
    """The mean of the left half and of the right half of each channel."""
    x = keras.Input((8, 8, 3), name="images")
    y = layers.AveragePooling2D((8, 4), name="halves")(x)
    return keras.Model(x, layers.Flatten(name="features")(y))


def halves(pixels):
    parts = pixels.astype("float64").reshape(-1, 8, 2, 4, 3).mean((1, 3))
    return parts.reshape(-1, 6)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_features_are_those_of_each_image(
    backbone, examples, pixels, batch_size
):
    features = extract_features(
        backbone, examples, mirrored=False, batch_size=batch_size
    )
    assert features.shape == (7, 1, 6)
    np.testing.assert_allclose(features.read()[:, 0], halves(pixels), rtol=1e-5)


def test_the_second_view_is_the_mirror_image(backbone, examples, pixels):
    features = extract_features(backbone, examples, mirrored=True).read()
    assert features.shape == (7, 2, 6)
    mirror = halves(pixels[:, :, ::-1])
    np.testing.assert_allclose(features[:, 0], halves(pixels), rtol=1e-5)
    np.testing.assert_allclose(features[:, 1], mirror, rtol=1e-5)


def test_progress_counts_images(backbone, examples):
    seen = []
    extract_features(
        backbone, examples, mirrored=True, batch_size=3, progress=seen.append
    )
    assert seen == [3, 3, 1]


def test_a_second_run_reads_no_image(backbone, examples, read_positions):
    first = extract_features(backbone, examples, mirrored=True)
    assert sorted(read_positions) == list(range(7))
    read_positions.clear()
    second = extract_features(backbone, examples, mirrored=True)
    assert (first.num_computed, second.num_computed) == (7, 0)
    assert read_positions == []


def test_of_more_images_only_the_new_ones_are_read(
    backbone, examples, pixels, read_positions
):
    extract_features(backbone, examples.subset([5, 1]), mirrored=True)
    read_positions.clear()
    seen = []
    features = extract_features(
        backbone, examples, mirrored=True, progress=seen.append
    )
    assert sorted(read_positions) == [0, 2, 3, 4, 6]
    assert seen == [2, 5]
    np.testing.assert_allclose(features.read()[:, 0], halves(pixels), rtol=1e-5)


def test_features_do_not_depend_on_the_company_of_an_image(
    examples, tmp_path, monkeypatch
):
    model = create_model("mobilenet_v2", num_classes=0, input_shape=(32, 32, 3))
    everything = extract_features(model, examples, mirrored=False).read()
    monkeypatch.setenv("DROPZOO_CACHE", str(tmp_path / "another"))
    alone = extract_features(model, examples.subset([4]), mirrored=False)
    np.testing.assert_array_equal(alone.read()[0], everything[4])


def test_with_and_without_mirror_images_are_kept_apart(backbone, examples):
    extract_features(backbone, examples, mirrored=True)
    features = extract_features(backbone, examples, mirrored=False)
    assert features.num_computed == 7


def test_batch_normalization_uses_its_own_statistics(examples):
    x = keras.Input((8, 8, 3), name="images")
    norm = layers.BatchNormalization(name="norm")
    model = keras.Model(x, layers.GlobalAveragePooling2D()(norm(x)))
    norm.set_weights([np.full(3, v) for v in (2.0, 1.0, 5.0, 4.0)])
    before = model.get_weights()
    features = extract_features(model, examples, mirrored=False).read()[:, 0]
    means = np.stack([examples.read(i).mean((0, 1)) for i in range(7)])
    expected = 2 * (means - 5) / np.sqrt(4 + 1e-3) + 1
    np.testing.assert_allclose(features, expected, rtol=1e-4)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_unreadable_image_is_named_and_nothing_is_kept(
    backbone, pixels, cache
):
    def read(index):
        if index == 5:
            raise ImageError("'e.jpg': it cannot be read: Permission denied")
        return pixels[index]

    names = [str(number) for number in range(7)]
    examples = Examples(np.zeros(7, np.int32), names, names, read)
    with pytest.raises(ImageError, match="^'e.jpg': it cannot be read"):
        extract_features(backbone, examples, mirrored=False, batch_size=2)
    assert list(cache.rglob("*.*")) == []
