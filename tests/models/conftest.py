"""A tiny network with its own record, so that weights load in no time."""

import dataclasses

import keras
import numpy as np
import pytest

from dropzoo.models import Techniques
from dropzoo.models.heads import classifier
from dropzoo.models.spec import ModelSpec, Preprocessing

CHANNELS = 4
CLASSES = 3


def build_tiny(
    *,
    name,
    num_classes,
    input_shape,
    preprocessing,
    techniques,
    dropout=0.0,
):
    """A convolution, a depthwise one and a classifier, each kind once."""
    images = keras.Input(input_shape, name="images")
    x = keras.layers.Conv2D(
        CHANNELS, 3, use_bias=False, padding="same", name="stem_conv"
    )(images)
    x = keras.layers.BatchNormalization(name="stem_bn")(x)
    x = keras.layers.DepthwiseConv2D(
        3, use_bias=False, padding="same", name="block_depthwise_conv"
    )(x)
    x = keras.layers.BatchNormalization(name="block_depthwise_bn")(x)
    x = keras.layers.ReLU(name="relu")(x)
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = classifier(features, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


@pytest.fixture
def tiny():
    """The tiny network's record."""
    return ModelSpec(
        name="tiny",
        build=build_tiny,
        input_size=8,
        parameters=135,
        preprocessing=Preprocessing((0.0,) * 3, (1.0,) * 3),
        reference="none",
        source_names=lambda layer: f"net.{layer}",
    )


@pytest.fixture
def build(tiny):
    """Builds the tiny network."""

    def build(num_classes=CLASSES):
        return build_tiny(
            name="tiny",
            num_classes=num_classes,
            input_shape=(8, 8, 3),
            preprocessing=None,
            techniques=Techniques(),
        )

    return build


@pytest.fixture
def state_dict():
    """Its weights as PyTorch would have them."""
    rng = np.random.default_rng(0)

    def numbers(*shape):
        return rng.normal(size=shape).astype("float32")

    state = {
        "net.stem_conv.weight": numbers(CHANNELS, 3, 3, 3),
        "net.block_depthwise_conv.weight": numbers(CHANNELS, 1, 3, 3),
        "net.logits.weight": numbers(CLASSES, CHANNELS),
        "net.logits.bias": numbers(CLASSES),
    }
    for norm in ("net.stem_bn", "net.block_depthwise_bn"):
        for part in ("weight", "bias", "running_mean"):
            state[f"{norm}.{part}"] = numbers(CHANNELS)
        state[f"{norm}.running_var"] = np.exp(numbers(CHANNELS))
        state[f"{norm}.num_batches_tracked"] = np.array(7)
    return state


@pytest.fixture
def in_catalogue(tiny, monkeypatch):
    """Puts the tiny network into the catalogue, so that names reach it."""
    from dropzoo.models import catalogue

    def put(**changes):
        spec = dataclasses.replace(tiny, **changes)
        monkeypatch.setattr(catalogue, "CATALOGUE", {"tiny": spec})
        return spec

    put()
    return put
