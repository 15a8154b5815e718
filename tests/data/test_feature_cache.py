import resource

import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.data.feature_cache import (
    Features,
    cached_features,
    identify_backbone,
)

DIGESTS = ["aa", "bb", "cc"]
VIEWS = ("photo", "mirror")
CHANNELS = 4


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DROPZOO_CACHE", str(tmp_path))
    return tmp_path / "features"


class Computing:
    """Gives features batch by batch, and notes for which images."""

    def __init__(self, views=2):
        rng = np.random.default_rng(0)
        self.values = rng.normal(size=(3, views, CHANNELS)).astype("float32")
        self.asked = []

    def __call__(self, positions):
        self.asked.append(positions)
        values = self.values[positions]
        yield values[:2]
        yield values[2:]


@pytest.fixture
def computing():
    return Computing()


def find(compute, *, backbone="net", digests=DIGESTS, views=VIEWS):
    return cached_features(backbone, digests, views, CHANNELS, compute)


def test_features_are_computed_once(computing, cache):
    first, second = find(computing), find(computing)
    assert computing.asked == [[0, 1, 2]]
    assert (first.num_computed, second.num_computed) == (3, 0)
    np.testing.assert_array_equal(first.read(), computing.values)
    np.testing.assert_array_equal(second.read(), computing.values)
    (folder,) = cache.iterdir()
    assert first.files == second.files
    assert {*folder.iterdir()} == {
        first.files[0],
        first.files[0].with_suffix(".txt"),
    }


def test_only_new_images_are_computed(computing):
    find(computing, digests=["cc"])
    find(computing, digests=["cc", "dd"])
    features = find(computing, digests=["bb", "dd", "aa", "cc"])
    assert computing.asked == [[0], [1], [0, 2]]
    assert features.num_computed == 2
    # The values that each was given when it was first asked for.
    np.testing.assert_array_equal(
        features.read(), computing.values[[0, 1, 2, 0]]
    )


def test_another_order_of_the_same_images_needs_nothing(computing):
    find(computing)
    features = find(computing, digests=["cc", "aa"])
    assert features.num_computed == 0
    np.testing.assert_array_equal(features.read(), computing.values[[2, 0]])


def test_an_image_that_comes_twice_is_computed_once(computing):
    features = find(computing, digests=["aa", "bb", "aa"])
    assert features.num_computed == 2
    first, second, again = features.read()
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(second, computing.values[1])


@pytest.mark.parametrize(
    "change",
    [
        {"digests": ["dd", "aab", "b"]},
        {"backbone": "another"},
        {"views": ("photo", "turned")},
    ],
)
def test_another_image_network_or_view_is_computed_anew(computing, change):
    find(computing)
    assert find(computing, **change).num_computed == 3


@pytest.mark.parametrize("length", [0, 1, 32, -32, -1])
def test_a_file_of_another_length_is_computed_anew(computing, length):
    (path,) = find(computing).files
    path.write_bytes(path.read_bytes()[:length])
    again = find(computing)
    assert again.num_computed == 3
    np.testing.assert_array_equal(again.read(), computing.values)


@pytest.mark.parametrize("content", [b"", b"aa\nbb", b"\xff\n\xff\n\xff"])
def test_a_damaged_list_of_images_is_made_anew(computing, content):
    (path,) = find(computing).files
    path.with_suffix(".txt").write_bytes(content)
    again = find(computing)
    assert again.num_computed == 3
    np.testing.assert_array_equal(again.read(), computing.values)
    assert find(computing).num_computed == 0


def test_features_without_their_list_do_not_count(computing):
    (path,) = find(computing).files
    path.with_suffix(".txt").unlink()
    assert find(computing).num_computed == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_an_interrupted_computation_leaves_nothing(cache, computing, error):
    def interrupted(positions):
        yield computing.values[:2]
        raise error

    with pytest.raises(error):
        find(interrupted)
    assert list(cache.rglob("*.*")) == []
    assert find(computing).num_computed == 3


@pytest.mark.parametrize("wrong", [slice(0, 2), slice(0, 0), [0, 1, 2, 2]])
def test_features_of_another_number_are_refused(cache, computing, wrong):
    with pytest.raises(ValueError, match=r"96 bytes.*\(3, 2, 4\). Received"):
        find(lambda positions: [computing.values[wrong]])
    assert list(cache.rglob("*.*")) == []


def test_rows_are_taken_by_position(computing):
    features = find(computing)
    positions = np.array([2, 0, 2])
    np.testing.assert_array_equal(
        features.take(positions), computing.values[positions]
    )
    assert features.take(np.array([], int)).shape == (0, 2, CHANNELS)
    assert features.num_bytes == computing.values.nbytes


def test_half_precision_is_kept_as_float32(computing):
    half = computing.values.astype("float16")
    features = find(lambda positions: [half])
    assert features.read().dtype == np.float32
    np.testing.assert_array_equal(features.read(), half)


def test_no_images_have_no_features():
    features = find(lambda positions: [], digests=[])
    assert features.read().shape == (0, 2, CHANNELS)
    assert isinstance(features, Features)


def test_without_a_cache_features_lie_in_a_temporary_file(
    computing, tmp_path, monkeypatch, caplog
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DROPZOO_CACHE", str(tmp_path / "file"))
    first, second = find(computing), find(computing)
    np.testing.assert_array_equal(second.read(), computing.values)
    assert (first.num_computed, second.num_computed) == (3, 3)
    assert tmp_path not in first.files[0].parents
    (record,) = caplog.records
    assert f"{tmp_path / 'file'}" in record.getMessage()


def test_a_disk_that_fills_up_is_one_sentence(computing, cache):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))  # of 96 bytes
    try:
        with pytest.raises(OSError, match="cannot be written to") as caught:
            find(computing)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value).startswith("cached_features: 96 bytes of feat")
    assert "(File too large)" in str(caught.value)
    assert list(cache.rglob("*.*")) == []


def backbone(size=8, scale=1 / 255, filters=4, activation="relu", seed=0):
    """A small network from raw RGB to features."""
    keras.utils.set_random_seed(seed)
    x = keras.Input((size, size, 3), name="images")
    y = layers.Rescaling(scale, name="normalization")(x)
    y = layers.Conv2D(filters, 3, activation=activation, name="conv")(y)
    y = layers.GlobalAveragePooling2D(name="pool")(y)
    return keras.Model(x, y, name="backbone")


def test_equal_networks_are_identified_as_one():
    assert identify_backbone(backbone()) == identify_backbone(backbone())


def test_a_network_is_identified_after_saving(tmp_path):
    model = backbone()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert identify_backbone(again) == identify_backbone(model)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 9},
        {"scale": 1 / 128},
        {"activation": "relu6"},
        {"filters": 5},
        {"seed": 1},
    ],
)
def test_another_size_scale_architecture_or_weight_is_another_network(change):
    changed = identify_backbone(backbone(**change))
    assert changed != identify_backbone(backbone())


def test_a_single_changed_weight_is_another_network():
    model = backbone()
    before = identify_backbone(model)
    kernel, bias = model.get_layer("conv").get_weights()
    bias[-1] = np.nextafter(bias[-1], 1)
    model.get_layer("conv").set_weights([kernel, bias])
    assert identify_backbone(model) != before


def test_another_version_of_keras_is_another_network(monkeypatch):
    before = identify_backbone(backbone())
    monkeypatch.setattr(keras, "__version__", "0.0")
    assert identify_backbone(backbone()) != before
