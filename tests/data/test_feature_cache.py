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
    """Gives features batch by batch, and counts how often it was asked."""

    def __init__(self, views=2):
        rng = np.random.default_rng(0)
        self.values = rng.normal(size=(3, views, CHANNELS)).astype("float32")
        self.calls = 0

    def __call__(self):
        self.calls += 1
        yield self.values[:2]
        yield self.values[2:]


@pytest.fixture
def computing():
    return Computing()


def find(compute, *, backbone="net", digests=DIGESTS, views=VIEWS):
    return cached_features(backbone, digests, views, CHANNELS, compute)


def test_features_are_computed_once(computing, cache):
    first, second = find(computing), find(computing)
    assert computing.calls == 1
    assert (first.reused, second.reused) == (False, True)
    np.testing.assert_array_equal(first.read(), computing.values)
    np.testing.assert_array_equal(second.read(), computing.values)
    assert [path for path in cache.iterdir()] == [first.path]


@pytest.mark.parametrize(
    "change",
    [
        {"digests": ["aa", "bb", "dd"]},
        {"digests": ["bb", "aa", "cc"]},
        {"digests": ["aab", "b", "cc"]},
        {"backbone": "another"},
        {"views": ("photo", "turned")},
    ],
)
def test_another_image_order_network_or_view_is_computed_anew(
    computing, change
):
    find(computing)
    assert not find(computing, **change).reused
    assert computing.calls == 2


@pytest.mark.parametrize("length", [0, 1, -1, -4])
def test_a_file_of_another_length_is_computed_anew(computing, length):
    path = find(computing).path
    path.write_bytes(path.read_bytes()[:length])
    again = find(computing)
    assert not again.reused
    np.testing.assert_array_equal(again.read(), computing.values)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_an_interrupted_computation_leaves_nothing(cache, computing, error):
    def interrupted():
        yield computing.values[:2]
        raise error

    with pytest.raises(error):
        find(interrupted)
    assert list(cache.iterdir()) == []
    assert not find(computing).reused


@pytest.mark.parametrize("wrong", [slice(0, 2), slice(0, 0), [0, 1, 2, 2]])
def test_features_of_another_number_are_refused(cache, computing, wrong):
    with pytest.raises(ValueError, match=r"96 bytes.*\(3, 2, 4\). Received"):
        find(lambda: [computing.values[wrong]])
    assert list(cache.iterdir()) == []


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
    features = find(lambda: [half])
    assert features.read().dtype == np.float32
    np.testing.assert_array_equal(features.read(), half)


def test_no_images_have_no_features():
    features = find(lambda: [], digests=[])
    assert features.read().shape == (0, 2, CHANNELS)
    assert isinstance(features, Features)


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
