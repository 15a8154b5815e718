"""A tiny network with its own record, so that weights load in no time."""

import dataclasses
import math
import types

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


def convolve(x, weight, bias=None, stride=1, padding=0):
    """A convolution as PyTorch defines it, on `(channels, height, width)`."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    sides = weight.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(x, sides, axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    y = np.einsum("chwij,ocij->ohw", windows, weight, optimize=True)
    return y if bias is None else y + bias[:, None, None]


def normalize(x, state, name):
    """Batch normalization by the running statistics."""
    parts = ("weight", "bias", "running_mean", "running_var")
    gamma, beta, mean, variance = (
        state[f"{name}.{part}"][:, None, None] for part in parts
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def max_pool(x, padding=0):
    """Maxima of 3x3 windows, two positions apart."""
    margins = ((0, 0), (padding, padding), (padding, padding))
    x = np.pad(x, margins, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return windows[:, ::2, ::2].max(axis=(3, 4))


@pytest.fixture(scope="session")
def numpy_layers():
    """The layers of PyTorch's networks in NumPy, as an oracle."""
    return types.SimpleNamespace(
        convolve=convolve, normalize=normalize, max_pool=max_pool
    )


@pytest.fixture(scope="session")
def random_state():
    """Random tensors for a layout of PyTorch, `{name: shape}`."""

    def draw(layout):
        rng = np.random.default_rng(0)
        state = {}
        for name, shape in layout.items():
            values = rng.normal(size=shape).astype("float32")
            if len(shape) > 1:  # so that no map grows or fades
                values *= np.sqrt(2 / math.prod(shape[1:]))
            elif name.endswith("running_var"):
                values = 0.5 + values**2
            elif name.endswith("weight"):
                values = 1 + 0.1 * values
            else:
                values *= 0.1
            state[name] = np.asarray(values, "float32")
        return state

    return draw
