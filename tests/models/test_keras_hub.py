"""KerasHub's classifiers as ours. A stand-in for KerasHub runs everywhere; the
tests that need the package itself say so, and run where it is installed."""

import importlib.util
import sys
import types

import keras
import numpy as np
import pytest

from dropzoo.layers import DropConnectDense, StochasticDepth
from dropzoo.models import create_model, list_models, model_info
from dropzoo.models.keras_hub import adapted_classifier
from dropzoo.models.techniques import Techniques

CLASSES = 5


def residual_backbone():
    """A model inside the classifier, as KerasHub builds them."""
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="stem")(images)
    y = keras.layers.Conv2D(4, 3, padding="same")(x)
    y = keras.layers.BatchNormalization()(y)
    y = keras.layers.ReLU()(keras.layers.Add()([x, y]))
    return keras.Model(images, y, name="backbone")


def nested_classifier(classes=CLASSES):
    backbone = residual_backbone()
    inputs = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D(name="pooler")(backbone(inputs))
    x = keras.layers.Dropout(0.1, name="output_dropout")(x)
    logits = keras.layers.Dense(classes, name="predictions")(x)
    model = keras.Model(inputs, logits)
    rng = np.random.default_rng(0)
    model.set_weights([rng.random(w.shape) for w in model.get_weights()])
    return model


CONVERTER = types.SimpleNamespace(
    scale=[0.01, 0.02, 0.03], offset=[-1.0, 0.0, 1.0], image_size=(16, 16)
)


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for KerasHub that knows one preset."""
    asked = []

    class ImageClassifier:
        presets = {"tiny_imagenet": {}}

        @classmethod
        def from_preset(cls, preset, *, load_weights, num_classes=CLASSES):
            asked.append((preset, load_weights))
            if preset not in cls.presets:
                raise OSError("no such\npreset")
            return nested_classifier(num_classes)

    class ImageClassifierPreprocessor:
        converter = CONVERTER

        @classmethod
        def from_preset(cls, preset):
            return types.SimpleNamespace(image_converter=cls.converter)

    module = types.ModuleType("keras_hub")
    module.__spec__ = importlib.util.spec_from_loader("keras_hub", None)
    module.models = types.SimpleNamespace(
        ImageClassifier=ImageClassifier,
        ImageClassifierPreprocessor=ImageClassifierPreprocessor,
    )
    module.asked = asked
    monkeypatch.setitem(sys.modules, "keras_hub", module)
    return module


@pytest.fixture
def no_hub(monkeypatch):
    find_spec = importlib.util.find_spec

    def without_hub(name, package=None):
        return None if name == "keras_hub" else find_spec(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_hub)


def photos():
    return np.random.default_rng(1).uniform(0, 255, (2, 16, 16, 3))


def test_without_the_package_a_sentence_says_what_to_install(no_hub):
    command = r"pip install 'dropzoo\[hub\]'"
    with pytest.raises(ImportError, match=f"not installed; run `{command}`"):
        create_model("hub:resnet_18_imagenet")
    assert list_models("hub:*") == []


def test_presets_are_listed_where_they_are_asked_for(hub):
    assert list_models("hub:*") == ["hub:tiny_imagenet"]
    assert list_models("hub:tiny*", pretrained=True) == ["hub:tiny_imagenet"]
    assert list_models("hub:*", pretrained=False) == []
    assert "hub:tiny_imagenet" not in list_models()


def test_a_preset_gives_what_it_gives_in_kerashub(hub):
    model = create_model("hub:tiny_imagenet", weights="preset")
    x = photos().astype("float32")
    expected = nested_classifier()(
        x * np.array(CONVERTER.scale, "float32")
        + np.array(CONVERTER.offset, "float32")
    )
    np.testing.assert_allclose(model(x), expected, rtol=1e-5)
    assert hub.asked == [("tiny_imagenet", True)]
    assert model.name == "tiny_imagenet"
    assert model.layers[-1].name == "logits"
    assert not any(isinstance(x, keras.Model) for x in model.layers)


def test_preprocessing_can_be_left_to_the_caller(hub):
    model = create_model("hub:tiny_imagenet", include_preprocessing=False)
    x = np.random.default_rng(0).random((1, 16, 16, 3), "float32")
    np.testing.assert_allclose(model(x), nested_classifier()(x), rtol=1e-5)
    assert hub.asked == [("tiny_imagenet", False)]


def test_a_converter_may_scale_nothing(hub):
    plain = types.SimpleNamespace(scale=None, offset=None, image_size=(8, 8))
    hub.models.ImageClassifierPreprocessor.converter = plain
    model = create_model("hub:tiny_imagenet")
    assert model.input_shape == (None, 8, 8, 3)
    x = np.random.default_rng(0).random((1, 8, 8, 3), "float32")
    np.testing.assert_allclose(model(x), nested_classifier()(x), rtol=1e-5)


def test_another_number_of_classes_leaves_the_head_random_and_says_so(
    hub, caplog
):
    model = create_model("hub:tiny_imagenet", weights="preset", num_classes=3)
    assert model.output_shape == (None, 3)
    assert "new and random: logits/kernel, logits/bias." in caplog.text
    stem = nested_classifier().get_layer("backbone").get_layer("stem")
    np.testing.assert_array_equal(model.get_layer("stem").kernel, stem.kernel)
    features = create_model("hub:tiny_imagenet", num_classes=0)
    assert features.output_shape == (None, 4)


def test_techniques_are_put_in(hub):
    model = create_model(
        "hub:tiny_imagenet",
        stochastic_depth=0.2,
        dropconnect=0.3,
        activation="gelu",
        dropout=0.4,
        seed=1,
    )
    found = {type(layer) for layer in model.layers}
    assert {StochasticDepth, DropConnectDense, keras.layers.Dropout} <= found
    assert keras.layers.ReLU not in found


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("hub:none", {}, r"cannot load hub:none \(no such preset\); `list_m"),
        ("hub:tiny_imagenet", {"weights": "imagenet"}, "None or 'preset'"),
        ("hub:tiny_imagenet", {"depth": 3}, "no option `depth`; .*dropout"),
        ("hub:tiny_imagenet", {"num_classes": -1}, "`num_classes` must be"),
        ("hub:tiny_imagenet", {"pooling": "max"}, "no pooling layers"),
    ],
)
def test_what_breaks_a_rule_gets_one_sentence(hub, name, options, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        create_model(name, **options)
    assert "\n" not in str(error.value)


def test_a_preset_without_a_size_needs_one(hub):
    sizeless = types.SimpleNamespace(scale=None, offset=None, image_size=None)
    hub.models.ImageClassifierPreprocessor.converter = sizeless
    with pytest.raises(ValueError, match="no size of its own; give `input_sh"):
        create_model("hub:tiny_imagenet")
    model = create_model("hub:tiny_imagenet", input_shape=(9, 9, 3))
    assert model.input_shape == (None, 9, 9, 3)


def test_the_catalogue_has_no_record_of_a_preset():
    with pytest.raises(ValueError, match="is described by KerasHub"):
        model_info("hub:tiny_imagenet")


def test_a_classifier_of_another_form_is_refused():
    x = keras.Input((8,))
    head = keras.Sequential([keras.layers.Dense(3), keras.layers.ReLU()])
    with pytest.raises(ValueError, match="other cannot be made a network"):
        adapted_classifier(
            keras.Model(x, head(x)),
            None,
            name="other",
            num_classes=2,
            input_shape=(8, 8, 3),
            dropout=0.0,
            techniques=Techniques(),
        )


@pytest.mark.slow
def test_a_network_of_kerashub_itself_gives_what_it_gives_there():
    """Runs where keras-hub is installed: `pip install 'dropzoo[hub]'`."""
    keras_hub = pytest.importorskip("keras_hub")
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 128],
        stackwise_num_blocks=[2, 2],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
    )
    original = keras_hub.models.ImageClassifier(
        backbone=backbone, num_classes=CLASSES
    )
    model = adapted_classifier(
        original,
        keras_hub.layers.ImageConverter(scale=1 / 255, image_size=(32, 32)),
        name="resnet",
        num_classes=None,
        input_shape=(32, 32, 3),
        dropout=0.0,
        techniques=Techniques(),
    )
    x = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3))
    x = x.astype("float32")
    expected = np.asarray(original(x / 255))
    atol = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(model(x), expected, atol=atol)
    assert len(list_models("hub:resnet_*")) > 5
