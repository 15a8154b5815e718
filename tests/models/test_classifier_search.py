import keras
import pytest
from keras import layers

from dropzoo.models.classifier_search import find_classifier, find_features


def images(side=8):
    return keras.Input((side, side, 3), name="images")


def convolved(x, filters=4, **options):
    return layers.Conv2D(filters, 3, padding="same", name="conv", **options)(x)


def dense_after_pooling(activation=None):
    x = images()
    y = layers.GlobalAveragePooling2D(name="pool")(convolved(x))
    y = layers.Dropout(0.2)(y)
    return keras.Model(x, layers.Dense(5, activation, name="top")(y))


def softmax_layer():
    model = dense_after_pooling()
    return keras.Model(model.input, layers.Softmax()(model.output))


def softmax_operation():
    model = dense_after_pooling()
    return keras.Model(model.input, keras.ops.softmax(model.output))


def hidden_layers():
    """As in VGG."""
    x = images()
    y = layers.Flatten(name="flat")(convolved(x))
    y = layers.Dense(6, "relu", name="fc1")(y)
    y = layers.Dropout(0.5)(y)
    y = layers.Dropout(0.5)(y)
    return keras.Model(x, layers.Dense(5, name="top")(y))


def convolution_on_a_point():
    """As in MobileNet."""
    x = images()
    y = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(convolved(x))
    y = layers.Conv2D(5, 1, name="top")(layers.Dropout(0.1)(y))
    return keras.Model(x, layers.Flatten()(y))


def convolution_with_softmax():
    """As in SqueezeNet: classes first, averages after."""
    x = images()
    y = layers.Conv2D(5, 1, activation="relu", name="top")(convolved(x))
    y = layers.GlobalAveragePooling2D()(y)
    return keras.Model(x, layers.Softmax()(y))


def convolution_named_logits():
    x = images()
    y = layers.Conv2D(5, 1, name="logits")(convolved(x))
    return keras.Model(x, layers.GlobalAveragePooling2D()(y))


@pytest.mark.parametrize(
    ("build", "classifier", "shape"),
    [
        (dense_after_pooling, "top", (None, 4)),
        (lambda: dense_after_pooling("sigmoid"), "top", (None, 4)),
        (softmax_layer, "top", (None, 4)),
        (softmax_operation, "top", (None, 4)),
        (hidden_layers, "top", (None, 6)),
        (convolution_on_a_point, "top", (None, 1, 1, 4)),
        (convolution_with_softmax, "top", (None, 8, 8, 4)),
        (convolution_named_logits, "logits", (None, 8, 8, 4)),
    ],
)
def test_a_classifier_is_found_with_the_features_below(
    build, classifier, shape
):
    model = build()
    assert find_classifier(model).address == classifier
    assert find_features(model, wants_map=False).tensor.shape == shape


def headless_with_norm():
    x = images()
    y = layers.BatchNormalization()(convolved(x))
    return keras.Model(x, layers.GlobalAveragePooling2D()(y))


def headless_map():
    x = images()
    return keras.Model(x, convolved(x))


def headless_hidden():
    x = images()
    y = layers.Flatten()(convolved(x))
    return keras.Model(x, layers.Dense(6, "relu")(y))


def headless_hidden_with_a_layer():
    model = dense_after_pooling()
    return keras.Model(model.input, layers.ReLU()(model.output))


def without_weights():
    x = images()
    return keras.Model(x, layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize(
    "build",
    [
        headless_with_norm,
        headless_map,
        headless_hidden,
        headless_hidden_with_a_layer,
        without_weights,
    ],
)
def test_a_network_without_a_classifier_ends_in_its_features(build):
    model = build()
    assert find_classifier(model) is None
    assert find_features(model, wants_map=False).tensor is model.output


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (dense_after_pooling, (None, 8, 8, 4)),
        (hidden_layers, (None, 8, 8, 4)),
        (convolution_on_a_point, (None, 8, 8, 4)),
        (convolution_with_softmax, (None, 8, 8, 4)),
        (headless_with_norm, (None, 8, 8, 4)),
        (headless_map, (None, 8, 8, 4)),
    ],
)
def test_the_last_map_is_before_pooling(build, shape):
    assert find_features(build(), wants_map=True).tensor.shape == shape


def test_a_map_that_is_a_point_by_itself_is_the_last_one():
    x = images(2)
    y = layers.Conv2D(4, 3, 2, padding="same", name="conv")(x)
    y = layers.GlobalAveragePooling2D()(layers.ReLU(name="relu")(y))
    model = keras.Model(x, layers.Dense(5)(y))
    found = find_features(model, wants_map=True).tensor
    assert found.shape == (None, 1, 1, 4)


def test_a_point_that_was_reshaped_comes_from_the_map_before_pooling():
    x = images()
    y = layers.GlobalAveragePooling2D()(convolved(x))
    y = layers.Conv2D(5, 1)(layers.Reshape((1, 1, 4))(y))
    model = keras.Model(x, layers.Flatten()(y))
    found = find_features(model, wants_map=True).tensor
    assert found.shape == (None, 8, 8, 4)


def test_the_last_map_may_lie_in_an_inner_model():
    x = images()
    backbone = headless_with_norm()
    model = keras.Model(x, layers.Dense(5)(backbone(x)))
    found = find_features(model, wants_map=True)
    assert found.tensor.shape == (None, 8, 8, 4)
    assert [call.operation for call in found.route] == [backbone]


def test_vectors_have_no_map():
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(2)(x), name="vectors")
    with pytest.raises(ValueError, match="needs a map .*vectors has none"):
        find_features(model, wants_map=True)


def test_sequences_are_refused():
    x = keras.Input((7, 4))
    model = keras.Model(x, layers.Dense(2)(x), name="tokens")
    with pytest.raises(ValueError, match=r"tokens must .*\(None, 7, 4\)"):
        find_features(model, wants_map=False)
