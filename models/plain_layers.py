"""What networks without shortcuts are made of: layers with their activation."""

import dataclasses
from typing import Any

from dropzoo.models.heads import classifier
from dropzoo.models.techniques import Techniques

LACKS = {"stochastic_depth": "it has no residual branch"}


def convolution(
    x: Any,
    filters: int,
    kernel_size: int,
    name: str,
    techniques: Techniques,
    **options: Any,
) -> Any:
    """A convolution named `name`, and a ReLU.

    Without batch normalization the scale of its first weights decides whether
    a deep network learns at all: they are drawn as He et al. derive for ReLUs
    ("Delving Deep into Rectifiers", 2015, equation 10).

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        filters: Number of filters.
        kernel_size: Side of the kernel.
        name: Of the layer.
        techniques: Its activation is used.
        **options: Further arguments of `keras.layers.Conv2D`.
    """
    from keras import layers

    options = {"kernel_initializer": "he_normal", **options}
    x = layers.Conv2D(filters, kernel_size, name=name, **options)(x)
    return techniques.activate(x, f"{name}_relu")


def hidden_dense(
    x: Any, units: int, name: str, techniques: Techniques, own: str = "relu"
) -> Any:
    """A dense layer named `name`, and its activation.

    Args:
        x: Symbolic tensor `(batch, channels)`.
        units: Number of outputs.
        name: Of the layer.
        techniques: Its `dropconnect`, its activation and its seed are used.
        own: The activation of the network's paper.
    """
    x = techniques.dense(x, units, name)
    return techniques.activate(x, f"{name}_{own}", own)


def classifier_after_hidden(
    x: Any, num_classes: int, dropout: float, techniques: Techniques
) -> Any:
    """The classifier of a network that has hidden dense layers.

    DropConnect is for those, not for the classifier.

    Args:
        x: Symbolic tensor `(batch, channels)`, from the last hidden layer.
        num_classes: Number of logits; 0 gives `x` itself.
        dropout: Rate in [0, 1).
        techniques: Its seed is used.
    """
    techniques = dataclasses.replace(techniques, dropconnect=0.0)
    return classifier(x, num_classes, dropout, techniques)
