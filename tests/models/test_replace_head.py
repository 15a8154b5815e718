import logging

import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.models import create_model, replace_head
from dropzoo.models.heads import set_head
from dropzoo.models.preprocessing import raw_input_model


@pytest.fixture
def model():
    """A classifier with every kind of state below its head."""
    x = keras.Input((8, 8, 3), name="images")
    y = layers.Conv2D(4, 3, name="conv")(x)
    y = layers.BatchNormalization(name="bn")(y)
    y = layers.ReLU(name="relu")(y)
    y = layers.GlobalAveragePooling2D(name="features")(y)
    y = layers.Dropout(0.2, name="dropout")(y)
    y = layers.Dense(6, "softmax", name="logits")(y)
    return keras.Model(x, y, name="small")


def photos(side=8):
    rng = np.random.default_rng(0)
    return rng.normal(2, 3, size=(2, side, side, 3)).astype("float32")


def up_to(model, name):
    return keras.Model(model.input, model.get_layer(name).output)


def names_and_weights(model):
    return [(layer.name, layer.get_weights()) for layer in model.layers]


def test_what_is_below_is_equal_to_the_bit(model):
    new = replace_head(model, 3)
    assert [layer.name for layer in new.layers] == [
        "images",
        "conv",
        "bn",
        "relu",
        "features",
        "logits",
    ]
    assert new.output_shape == (None, 3) and new.name == "small"
    np.testing.assert_array_equal(
        up_to(new, "features")(photos()), up_to(model, "features")(photos())
    )


def test_logits_are_features_times_kernel_plus_bias(model):
    new = replace_head(model, 3)
    rng = np.random.default_rng(1)
    kernel, bias = rng.normal(size=(4, 3)), rng.normal(size=3)
    set_head(new, kernel, bias)
    features = np.asarray(up_to(model, "features")(photos()))
    np.testing.assert_allclose(
        new(photos()), features @ kernel + bias, rtol=1e-4, atol=1e-5
    )


def test_training_it_leaves_the_original_as_it_was(model):
    model.get_layer("bn").trainable = False
    before = names_and_weights(model)
    outputs = [layer.output for layer in model.layers]
    new = replace_head(model, 3)
    assert not new.get_layer("bn").trainable
    new.trainable = True
    new.compile("sgd", "mse")
    new.fit(photos(), np.ones((2, 3)), verbose=0)
    moved = new.get_layer("conv").get_weights()[0]
    assert np.abs(moved - model.get_layer("conv").get_weights()[0]).any()
    for (_, old), (_, now) in zip(
        before, names_and_weights(model), strict=True
    ):
        for left, right in zip(old, now, strict=True):
            np.testing.assert_array_equal(left, right)
    assert not model.get_layer("bn").trainable
    assert all(
        x.output is y for x, y in zip(model.layers, outputs, strict=True)
    )


def test_hidden_layers_and_dropout_come_in_order(model):
    new = replace_head(model, 3, hidden=(7, 5), dropout=0.3, seed=1)
    head = new.layers[5:]
    assert [layer.name for layer in head] == [
        "dropout1",
        "hidden1",
        "dropout2",
        "hidden2",
        "dropout",
        "logits",
    ]
    assert [x.units for x in head if hasattr(x, "units")] == [7, 5, 3]
    drops = [x for x in head if isinstance(x, layers.Dropout)]
    assert {x.rate for x in drops} == {0.3}
    assert len({x.seed for x in drops}) == 3
    assert keras.activations.serialize(head[1].activation) == "relu"


def test_equal_seeds_give_equal_heads(model):
    def head(seed):
        return replace_head(model, 3, hidden=(5,), seed=seed).get_weights()[-4:]

    for left, right in zip(head(1), head(1), strict=True):
        np.testing.assert_array_equal(left, right)
    assert np.abs(head(1)[0] - head(2)[0]).any()


def test_a_head_that_starts_at_zero_finds_all_classes_equal(model):
    new = replace_head(model, 3, hidden=(5,), zero_init=True)
    np.testing.assert_array_equal(new(photos()), np.zeros((2, 3)))
    assert np.abs(new.get_layer("hidden1").kernel).max() > 0


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("avg", lambda x: x.mean((1, 2))),
        ("max", lambda x: x.max((1, 2))),
        ("avg_max", lambda x: np.hstack([x.mean((1, 2)), x.max((1, 2))])),
    ],
)
def test_pooling_starts_from_the_last_map(model, pooling, expected):
    new = replace_head(model, 3, pooling=pooling)
    features = keras.Model(new.input, new.get_layer("logits").input)
    maps = np.asarray(up_to(model, "relu")(photos()))
    np.testing.assert_allclose(
        features(photos()), expected(maps), rtol=1e-5, atol=1e-6
    )


def test_a_head_can_be_replaced_again(model):
    twice = replace_head(replace_head(model, 3, hidden=(5,)), 2, hidden=(4,))
    # pooling=None keeps the hidden layer, and the new one gets another name.
    assert [layer.name for layer in twice.layers][4:] == [
        "features",
        "hidden1",
        "hidden1_2",
        "logits",
    ]
    once = replace_head(twice, 2, pooling="avg")
    assert [x.name for x in once.layers][3:] == ["relu", "features", "logits"]


def test_it_says_what_is_new_and_what_is_gone(model, caplog):
    with caplog.at_level(logging.WARNING, "dropzoo"):
        replace_head(model, 3, hidden=(5,))
    assert caplog.messages == [
        "replace_head: small keeps 6 tensors; left out: logits; new: hidden1, "
        "logits, of which the last is random and takes 5 features to 3 logits."
    ]


def test_a_saved_run_gets_a_new_head_behind_its_resizing(model, tmp_path):
    raw_input_model(model).save(tmp_path / "model.keras")
    saved = keras.saving.load_model(tmp_path / "model.keras")
    new = replace_head(saved, 3)
    assert [layer.name for layer in new.layers] == [
        "photos",
        "resizing",
        "small",
        "logits",
    ]
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 9, 3), "uint8")
    resized = saved.get_layer("resizing")(images)
    features = keras.Model(new.input, new.get_layer("logits").input)
    np.testing.assert_allclose(
        features(images), up_to(model, "features")(resized), rtol=1e-5
    )


def test_a_network_without_a_head_gets_one():
    model = create_model("mobilenet_v2", input_shape=(32, 32, 3), num_classes=0)
    new = replace_head(model, 4)
    assert new.output_shape == (None, 4)
    assert len(new.weights) == len(model.weights) + 2


@pytest.mark.slow(ci=True)
def test_a_sequential_model_around_a_backbone_gets_a_new_head():
    backbone = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, include_top=False, weights=None, pooling="avg"
    )
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), backbone, layers.Dense(10, "softmax")]
    )
    new = replace_head(model, 4)
    np.testing.assert_array_equal(
        keras.Model(new.input, new.get_layer("logits").input)(photos(32)),
        backbone(photos(32)),
    )
    # The other way to pool is inside the backbone.
    assert replace_head(model, 4, pooling="max").output_shape == (None, 4)


SMALL = {
    "ConvNeXtTiny": (32, "head_dense"),
    "DenseNet121": (32, "predictions"),
    "EfficientNetB0": (32, "predictions"),
    "MobileNet": (32, "conv_preds"),
    "MobileNetV3Small": (32, "logits"),
    "NASNetMobile": (32, "predictions"),
    "ResNet50V2": (32, "predictions"),
    "VGG16": (32, "predictions"),
    "Xception": (71, "predictions"),
}


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["softmax", None])
@pytest.mark.parametrize("name", SMALL)
def test_networks_of_keras_get_new_heads(name, activation, caplog):
    side, classifier = SMALL[name]
    model = getattr(keras.applications, name)(
        weights=None,
        input_shape=(side, side, 3),
        classes=10,
        classifier_activation=activation,
    )
    for pooling in (None, "avg"):
        with caplog.at_level(logging.WARNING, "dropzoo"):
            new = replace_head(model, 3, pooling=pooling)
        said = caplog.messages[-1].split("left out: ")[1].split(";")[0]
        gone = said.split(", ")
        assert gone[-1].endswith(classifier)
        assert new.output_shape == (None, 3)
    assert len(new.weights) == len(model.weights) - 2 * len(gone) + 2


def test_a_model_of_another_kind_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    x = keras.Input((4,))
    several = keras.Model(x, [layers.Dense(2)(x), layers.Dense(3)(x)])
    for model in (Own(), several, keras.Sequential([layers.Dense(2)])):
        with pytest.raises(TypeError, match="`model` must be .*one output"):
            replace_head(model, 2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_classes": 0}, "`num_classes` must be .*num_classes=0"),
        ({"num_classes": 2.0}, "`num_classes` must be .*num_classes=2.0"),
        ({"num_classes": True}, "`num_classes` must be"),
        ({"pooling": "median"}, "'avg', 'max', 'avg_max'. .*'median'"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\). .*dropout=1.0"),
        ({"dropout": -0.1}, "`dropout` must be in"),
        ({"dropout": "high"}, "`dropout` must be in"),
        ({"hidden": 5}, "`hidden` must be a sequence .*hidden=5"),
        ({"hidden": (5, 0)}, r"`hidden` must be a sequence .*\(5, 0\)"),
    ],
)
def test_an_argument_outside_its_range_is_refused(model, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace_head(model, **{"num_classes": 2, **options})
