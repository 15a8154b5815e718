"""Networks of Keras give here what they give there, from raw RGB."""

import dataclasses
import gc
import sys

import h5py
import keras
import numpy as np
import pytest

from dropzoo.layers import (
    DropBlock2D,
    DropConnectDense,
    FractionalAveragePooling2D,
    FractionalMaxPooling2D,
    StochasticDepth,
    StochasticPooling2D,
)
from dropzoo.models import catalogue, create_model, list_models, model_info
from dropzoo.models.keras_applications import SPECS
from dropzoo.models.levels import levels
from dropzoo.models.preprocessing import normalization

NAMES = [spec.name for spec in SPECS]
# In the ordinary run: one of few parameters.
COUNTED = {"keras_mobilenet_v2"}
# With it, the smallest of each family that is not compared.
COUNTED_IN_CI = {
    "convnext_tiny",
    "efficientnet_v2_b0",
    "inception_v3",
    "resnet50_v2",
    "xception",
}
# Small ones with preprocessing inside the network and outside, and with each
# kind of classifier.
COMPARED = {
    "mobilenet",  # to [-1, 1]
}
COMPARED_IN_CI = {
    "mobilenet_v3_small",  # inside the network
    "efficientnet_b0",  # inside the network, in part only with weights
}
# All parameters in millions, by https://keras.io/api/applications; those of
# MobileNetV3 by its paper.
PUBLISHED_MILLIONS = {
    "Xception": 22.9,
    "VGG16": 138.4,
    "VGG19": 143.7,
    "ResNet50": 25.6,
    "ResNet50V2": 25.6,
    "ResNet101": 44.7,
    "ResNet101V2": 44.7,
    "ResNet152": 60.4,
    "ResNet152V2": 60.4,
    "InceptionV3": 23.9,
    "InceptionResNetV2": 55.9,
    "MobileNet": 4.3,
    "MobileNetV2": 3.5,
    "MobileNetV3Small": 2.5,
    "MobileNetV3Large": 5.4,
    "DenseNet121": 8.1,
    "DenseNet169": 14.3,
    "DenseNet201": 20.2,
    "NASNetMobile": 5.3,
    "NASNetLarge": 88.9,
    "EfficientNetB0": 5.3,
    "EfficientNetB1": 7.9,
    "EfficientNetB2": 9.2,
    "EfficientNetB3": 12.3,
    "EfficientNetB4": 19.5,
    "EfficientNetB5": 30.6,
    "EfficientNetB6": 43.3,
    "EfficientNetB7": 66.7,
    "EfficientNetV2B0": 7.2,
    "EfficientNetV2B1": 8.2,
    "EfficientNetV2B2": 10.2,
    "EfficientNetV2B3": 14.5,
    "EfficientNetV2S": 21.6,
    "EfficientNetV2M": 54.4,
    "EfficientNetV2L": 119.0,
    "ConvNeXtTiny": 28.6,
    "ConvNeXtSmall": 50.2,
    "ConvNeXtBase": 88.5,
    "ConvNeXtLarge": 197.7,
    "ConvNeXtXLarge": 350.1,
}


def slow_but(ordinary, in_ci):
    """Every network; those not chosen are slow."""

    def marks(name):
        if name in ordinary:
            return []
        if name in in_ci:
            return [pytest.mark.slow(ci=True)]
        return [pytest.mark.slow]

    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=marks(name)) for name in NAMES]
    )


@pytest.fixture(autouse=True)
def free_memory(request):
    """Forgets large networks; after each small one it would take a second."""
    yield
    if request.node.get_closest_marker("slow"):
        gc.collect()


def function(name):
    return getattr(keras.applications, model_info(name).build.function)


def module(name):
    return sys.modules[function(name).__module__]


def small(name, **options):
    side = model_info(name).smallest_size
    options = {"num_classes": 3, "input_shape": (side, side, 3), **options}
    return create_model(name, **options)


def kinds(model, *classes):
    return [layer for layer in model.layers if type(layer) in classes]


def test_every_network_of_keras_is_there():
    functions = {spec.build.function for spec in SPECS}
    assert len(functions) == len(SPECS)
    assert functions == {
        name
        for name, value in vars(keras.applications).items()
        if callable(value) and name[0].isupper()
    }
    assert set(NAMES) <= set(list_models(pretrained=True))


def test_weights_say_what_keras_says_of_them():
    records = {spec.name: spec.weights[0] for spec in SPECS}
    assert {r.licence for r in records.values()} == {
        "Apache-2.0",
        "BSD-3-Clause",
        "CC-BY-4.0",
        "MIT",
        "see Keras",
    }
    without = [n for n, r in records.items() if not (r.sha256 or r.md5)]
    assert without == ["mobilenet", "keras_mobilenet_v2"]
    files = {record.file for record in records.values()}
    assert len(files) == len(records)


@pytest.mark.parametrize("name", NAMES)
def test_the_spelling_of_keras_is_a_close_match(name):
    spelling = model_info(name).build.function
    with pytest.raises(ValueError, match=f"did you mean .*'{name}'"):
        model_info(spelling)


def assert_counted(model, spec):
    """Asserts the record's number of parameters, and Keras's."""
    trained = sum(np.prod(v.shape) for v in model.trainable_variables)
    assert trained == spec.parameters
    millions = PUBLISHED_MILLIONS[spec.build.function]
    # Keras cuts digits off here and rounds there, and counts the 7 numbers of
    # its preprocessing too.
    assert abs(model.count_params() / 1e6 - millions) < 0.11


@slow_but(COUNTED, COUNTED_IN_CI)
def test_parameters_are_those_of_keras(name):
    spec = model_info(name)
    side = 224 if "vgg" in name else spec.smallest_size  # flattened there
    model = small(name, num_classes=1000, input_shape=(side, side, 3))
    assert_counted(model, spec)
    assert model.layers[-1].name == "logits"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_levels_are_those_of_the_record(name):
    model = create_model(name, num_classes=2)
    assert tuple(levels(model)) == model_info(name).levels


def weights_file(name, path):
    """Weights by chance, in the layout and the order of Keras's files."""
    side = model_info(name).input_size
    model = function(name)(weights=None, input_shape=(side, side, 3))
    rng = np.random.default_rng(0)

    def value(layer, variable):
        noise = rng.normal(size=variable.shape).astype("float32")
        if isinstance(layer, keras.layers.Normalization):
            # What EfficientNet's files hold: deviations as variances.
            means, deviations = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
            known = {"mean": means, "variance": deviations, "count": 0}
            return np.array(known[variable.name]).reshape(variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            return np.exp(0.1 * noise)
        if "kernel" not in variable.name:
            return 0.1 * noise
        return np.asarray(variable)

    with h5py.File(path, "w") as file:
        layers = [layer for layer in model.layers if layer.weights]
        file.attrs["layer_names"] = [f"layer_{i}" for i in range(len(layers))]
        for index, layer in enumerate(layers):
            group = file.create_group(f"layer_{index}")
            names = [f"weight_{i}:0" for i in range(len(layer.weights))]
            group.attrs["weight_names"] = names
            for at, variable in zip(names, layer.weights, strict=True):
                group[at] = value(layer, variable)


@slow_but(COMPARED, COMPARED_IN_CI)
def test_weights_and_preprocessing_are_those_of_keras(
    name, tmp_path, monkeypatch
):
    spec = model_info(name)
    (record,) = spec.weights
    path = tmp_path / record.file
    weights_file(name, path)
    asked = []

    def get_file(fname, origin, *, cache_subdir, file_hash=None):
        asked.append((fname, origin, cache_subdir, file_hash))
        return str(path)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    monkeypatch.setattr(module(name).file_utils, "get_file", get_file)
    images = np.random.default_rng(1).uniform(
        0, 255, (1, spec.input_size, spec.input_size, 3)
    )
    theirs = function(name)(
        weights="imagenet",
        input_shape=images.shape[1:],
        classifier_activation=None,
    )
    inputs = module(name).preprocess_input(images.astype("float32"))
    expected = np.asarray(theirs(inputs))
    del theirs
    unchecked = dataclasses.replace(record, sha256="", md5="")
    known = dataclasses.replace(spec, weights=(unchecked,))
    monkeypatch.setattr(catalogue, "CATALOGUE", {name: known})
    ours = create_model(name, weights="imagenet")
    assert_counted(ours, spec)
    logits = np.asarray(ours(images))
    assert expected.std() > 1e-3
    # Float32: deep networks of random weights make rounding errors grow, by
    # their hundredth layer to a little above 1e-4 of the largest logit.
    shallow = {*COMPARED, *COMPARED_IN_CI, "densenet121", "resnet50"}
    share = 1e-4 if name in shallow else 1e-3
    atol = share * np.abs(expected).max()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=atol)
    # And the record says what Keras asks for.
    file, url, folder, checksum = asked[0]
    assert (file, url, folder) == (record.file, record.url, "models")
    assert checksum == (record.sha256 or record.md5 or None)
    assert asked[1:] == [(file, url, folder, None)]


@pytest.mark.parametrize("name", NAMES)
def test_preprocessing_outside_of_a_network_is_that_of_keras(name):
    (record,) = model_info(name).weights
    images = np.random.default_rng(0).uniform(0, 255, (1, 4, 4, 3))
    images = images.astype("float32")
    expected = module(name).preprocess_input(images.copy())
    if np.array_equal(expected, images):
        return  # It is inside, and compared with the weights.
    if record.channel_order == "bgr":  # Kernels are turned round.
        expected = expected[..., ::-1]
    ours = np.asarray(normalization(record.preprocessing)(images))
    np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.slow(ci=True)
def test_names_do_not_depend_on_what_was_built_before():
    first, second = (small("mobilenet_v3_small") for _ in range(2))
    names = [layer.name for layer in first.layers]
    assert [layer.name for layer in second.layers] == names
    assert "re_lu" in names and "re_lu_1" in names


def test_what_is_saved_comes_back(tmp_path):
    model = small("mobilenet")
    path = tmp_path / "w.keras"
    model.save(path)
    again = small("mobilenet", weights=path)
    for one, other in zip(
        model.get_weights(), again.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow(ci=True)
def test_without_classes_a_network_ends_in_its_features():
    assert small("mobilenet", num_classes=0).output_shape == (None, 1024)
    dense = small("keras_mobilenet_v2", num_classes=0)
    assert dense.output_shape == (None, 1280)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        pytest.param("convnext_tiny", 1, marks=pytest.mark.slow(ci=True)),
        pytest.param("efficientnet_v2_b0", 4, marks=pytest.mark.slow(ci=True)),
        ("mobilenet", 4),
    ],
)
def test_images_may_have_other_channels(name, channels):
    model = small(name, input_shape=(32, 32, channels))
    assert model.input_shape == (None, 32, 32, channels)


def test_the_smallest_size_is_that_of_keras():
    with pytest.raises(ValueError, match="at least 71 pixels"):
        create_model("xception", input_shape=(70, 70, 3))


@pytest.mark.slow(ci=True)
def test_dropout_is_that_of_keras_or_as_asked():
    (own,) = kinds(small("mobilenet"), keras.layers.Dropout)
    assert own.rate == 0.001
    (asked,) = kinds(small("mobilenet", dropout=0.5), keras.layers.Dropout)
    assert asked.rate == 0.5


@pytest.mark.slow(ci=True)
def test_stochastic_depth_and_blocks_are_grafted():
    model = small(
        "keras_mobilenet_v2", stochastic_depth=0.2, drop_block=0.1, seed=1
    )
    drops = kinds(model, StochasticDepth)
    rates = [layer.rate for layer in drops]
    np.testing.assert_allclose(rates, 0.2 * np.arange(1, 11) / 10)
    assert len({layer.seed for layer in drops}) == 10
    assert kinds(model, DropBlock2D)


@pytest.mark.slow(ci=True)
def test_depth_drops_of_keras_are_rated_anew_and_not_doubled():
    model = small("efficientnet_b0", stochastic_depth=0.5)
    rates = [layer.rate for layer in kinds(model, keras.layers.Dropout)]
    np.testing.assert_allclose(rates[:-1], 0.5 * np.arange(1, 10) / 9)
    assert rates[-1] == 0.2  # before the classifier
    assert kinds(model, StochasticDepth) == []


@pytest.mark.slow(ci=True)
def test_pooling_is_grafted():
    model = small("resnet50_v2", pooling="stochastic", seed=1)
    assert isinstance(model.get_layer("pool1_pool"), StochasticPooling2D)
    assert model.get_layer("pool1_pool").seed is not None


@pytest.mark.slow
def test_fractional_pooling_takes_the_place_of_what_shrinks():
    model = small("inception_v3", pooling="fractional", seed=1)
    fractional = (FractionalMaxPooling2D, FractionalAveragePooling2D)
    assert len(kinds(model, *fractional)) == 4
    # Those of its branches leave the size as it is, and stay.
    assert len(kinds(model, keras.layers.AveragePooling2D)) == 9


@pytest.mark.slow(ci=True)
def test_connections_are_dropped_in_hidden_layers_or_else_in_the_head():
    (head,) = kinds(small("mobilenet", dropconnect=0.3), DropConnectDense)
    assert head.name == "logits" and head.rate == 0.3
    vgg = small("keras_vgg16", dropconnect=0.3, seed=1)
    hidden = kinds(vgg, DropConnectDense)
    assert [layer.name for layer in hidden] == ["fc1", "fc2"]
    assert hidden[0].seed != hidden[1].seed


@pytest.mark.slow(ci=True)
def test_an_activation_replaces_those_of_hidden_layers_but_no_gates():
    model = small("mobilenet_v3_small", activation="gelu")
    hidden = kinds(model, keras.layers.Activation)
    assert {keras.activations.serialize(x.activation) for x in hidden} == {
        "gelu"
    }
    gates = kinds(model, keras.layers.ReLU)
    assert len(gates) == 9 and {x.max_value for x in gates} == {6.0}
    vgg = small("keras_vgg16", activation="silu")
    assert vgg.get_layer("block1_conv1").activation is keras.activations.silu


@pytest.mark.parametrize(
    ("name", "option", "reason"),
    [
        pytest.param(
            "densenet121",
            {"stochastic_depth": 0.1},
            "no residual branch",
            marks=pytest.mark.slow(ci=True),
        ),
        pytest.param(
            "efficientnet_b0",
            {"pooling": "max"},
            "no pooling between",
            marks=pytest.mark.slow(ci=True),
        ),
        ("mobilenet", {"pooling": "max"}, "no pooling between"),
    ],
)
def test_what_a_network_lacks_is_refused_with_the_reason(name, option, reason):
    with pytest.raises(ValueError, match=reason):
        create_model(name, **option)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("option", "value"), [("stochastic_depth", 0.2), ("pooling", "stochastic")]
)
def test_what_a_network_does_not_lack_it_takes(name, option, value):
    if option in model_info(name).lacks:
        with pytest.raises(ValueError, match="because"):
            small(name, **{option: value})
        return
    names = {layer.name for layer in small(name).layers}
    varied = small(name, **{option: value}, seed=1)
    drops = (StochasticDepth, StochasticPooling2D)
    assert kinds(varied, *drops) or {x.name for x in varied.layers} == names
