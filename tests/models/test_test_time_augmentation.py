"""Views of an image are what NumPy cuts, and their average is one model."""

import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.models import TestTimeAugmentation, ensemble
from dropzoo.models.preprocessing import raw_input_model, resizing

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 255, (3, 8, 6, 3)).astype("float32")
PHOTOS = RNG.integers(0, 256, (3, 13, 9, 3), "uint8")


def network(*, shape=(8, 6, 3), ends=None, seed=0):
    """A classifier that tells left from right and top from bottom."""
    kernels = [keras.initializers.GlorotNormal(seed + i) for i in range(2)]
    x = keras.Input(shape, name="images")
    y = layers.Rescaling(1 / 127, name="normalization")(x)
    y = layers.Conv2D(4, 3, kernel_initializer=kernels[0], name="conv")(y)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.Flatten()(y)
    y = layers.Dense(5, ends, kernel_initializer=kernels[1], name="head")(y)
    return keras.Model(x, y, name="net")


def of_any_size():
    x = keras.Input((None, None, 3), name="images")
    y = layers.Rescaling(1 / 127)(x)
    y = layers.Conv2D(4, (1, 2), strides=2)(y)
    y = layers.GlobalMaxPooling2D()(y)
    return keras.Model(x, layers.Dense(5)(y), name="any")


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x)).astype("float64")


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def resized(x, height, width):
    return keras.ops.convert_to_numpy(resizing(height, width)(x))


@pytest.fixture(scope="module")
def net():
    return network()


def test_by_default_it_looks_at_the_mirror_image_too(net):
    found = outputs(TestTimeAugmentation(net), X)
    given = [softmax(outputs(net, view)) for view in (X, X[:, :, ::-1])]
    assert np.abs(given[0] - given[1]).max() > 0.1
    np.testing.assert_allclose(found, np.mean(given, axis=0), atol=1e-6)


def test_it_may_average_logits(net):
    found = outputs(TestTimeAugmentation(net, average="logits"), X)
    logits = [outputs(net, view) for view in (X, X[:, :, ::-1])]
    np.testing.assert_allclose(
        found, softmax(np.mean(logits, axis=0)), atol=1e-6
    )


def test_without_any_view_more_it_is_the_classifier(net):
    model = TestTimeAugmentation(net, flips=False)
    np.testing.assert_allclose(
        outputs(model, X), softmax(outputs(net, X)), atol=1e-6
    )


@pytest.mark.parametrize("flips", [False, True])
def test_five_crops_of_a_photo_are_cut_after_one_resizing(net, flips):
    member = raw_input_model(net)
    big = resized(PHOTOS, 12, 9)
    windows = [
        big[:, top : top + 8, left : left + 6]
        for top, left in [(2, 1), (0, 0), (0, 3), (4, 0), (4, 3)]
    ]
    if flips:
        windows += [window[:, :, ::-1] for window in windows]
    expected = np.mean([outputs(member, x) for x in windows], axis=0)
    model = TestTimeAugmentation(member, flips=flips, crops=True, scales=[1.5])
    assert model.input.dtype == "uint8"
    np.testing.assert_allclose(outputs(model, PHOTOS), expected, atol=1e-6)


def test_scales_are_looked_at_in_their_centre(net):
    member = raw_input_model(net)
    views = [PHOTOS, resized(PHOTOS, 16, 12)[:, 4:12, 3:9]]
    expected = np.mean([outputs(member, x) for x in views], axis=0)
    model = TestTimeAugmentation(member, flips=False, scales=(1, 2))
    np.testing.assert_allclose(outputs(model, PHOTOS), expected, atol=1e-6)


def test_images_of_the_networks_size_are_enlarged(net):
    big = keras.ops.convert_to_numpy(keras.ops.image.resize(X, (12, 9)))
    expected = softmax(outputs(net, big[:, 2:10, 1:7]))
    model = TestTimeAugmentation(net, flips=False, scales=[1.5])
    np.testing.assert_allclose(outputs(model, X), expected, atol=1e-6)


def test_crops_are_alexnets_by_default():
    model = TestTimeAugmentation(network(shape=(56, 56, 3)), crops=True)
    assert model.get_layer("scale_0").output.shape[1:3] == (64, 64)
    cut = [x.cropping for x in model.layers if "window" in x.name]
    assert cut[0] == ((4, 4), (4, 4))
    assert len(cut) == 5
    assert len(model.get_layer("average").input) == 10


def test_a_window_is_looked_at_once(net):
    model = TestTimeAugmentation(net, crops=True, scales=(1, 1.5))
    assert len(model.get_layer("average").input) == 2 * (1 + 5)


def test_a_network_for_images_of_any_size_is_shown_mirror_images():
    net = of_any_size()
    given = [softmax(outputs(net, x)) for x in (PHOTOS, PHOTOS[:, :, ::-1])]
    found = outputs(TestTimeAugmentation(net), PHOTOS.astype("float32"))
    np.testing.assert_allclose(found, np.mean(given, axis=0), atol=1e-6)


def test_it_may_be_a_member_of_an_ensemble(net):
    views = [TestTimeAugmentation(net), TestTimeAugmentation(network(seed=7))]
    expected = np.mean([outputs(view, X) for view in views], axis=0)
    np.testing.assert_allclose(outputs(ensemble(views), X), expected, atol=1e-6)


def test_it_shares_nothing_with_the_classifier(net):
    before = net.get_weights()
    model = TestTimeAugmentation(net)
    assert len(model.weights) == len(net.weights)  # one copy for all views
    for variable in model.weights:
        variable.assign(variable + 1)
    for found, expected in zip(net.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert net.name == "net"


def test_the_saved_model_needs_keras_alone(net, tmp_path):
    model = TestTimeAugmentation(raw_input_model(net), crops=True)
    assert "dropzoo" not in model.to_json()
    model.save(tmp_path / "views.keras")
    loaded = keras.saving.load_model(tmp_path / "views.keras")
    np.testing.assert_array_equal(
        outputs(loaded, PHOTOS), outputs(model, PHOTOS)
    )


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the format is TensorFlow's"
)
def test_it_is_exported(net, tmp_path):
    import tensorflow as tf

    model = TestTimeAugmentation(raw_input_model(net), crops=True)
    model.export(tmp_path / "exported", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(
        loaded.serve(PHOTOS), outputs(model, PHOTOS), atol=1e-6
    )


def test_pytest_takes_it_for_no_test(request):
    names = [item.name for item in request.session.items]
    assert not any(name.startswith("TestTime") for name in names)
    assert not isinstance(TestTimeAugmentation, type)


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"scales": 1.5}, TypeError, "a list of numbers. .*scales=1.5"),
        ({"scales": []}, TypeError, r"a list of numbers. .*scales=\[\]"),
        ({"scales": ["2"]}, TypeError, "a list of numbers.*'2'"),
        ({"scales": [0.9]}, ValueError, r"at least 1: .*scales=\[0.9\]"),
        ({"scales": [float("nan")]}, ValueError, "at least 1: .*nan"),
        ({"crops": True, "scales": [1]}, ValueError, "hold one above 1"),
        ({"average": "votes"}, ValueError, "`average` must be.*'votes'"),
    ],
)
def test_options_that_make_no_sense_are_refused(net, options, kind, sentence):
    with pytest.raises(kind, match=f"TestTimeAugmentation: .*{sentence}"):
        TestTimeAugmentation(net, **options)


def test_what_is_no_image_is_refused():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="`model` must take images.*input is"):
        TestTimeAugmentation(model)


def test_windows_of_no_known_size_are_refused():
    with pytest.raises(ValueError, match="one size or begin with .*'any' on"):
        TestTimeAugmentation(of_any_size(), crops=True)


def test_what_is_no_graph_is_refused():
    with pytest.raises(TypeError, match="functional .*Received: Dense"):
        TestTimeAugmentation(layers.Dense(3))
