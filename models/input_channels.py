"""Fits a network that was trained on RGB to images of other channels."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from dropzoo.models.spec import Preprocessing

RGB = 3


def adapt_kernel(kernel: np.ndarray, channels: int) -> np.ndarray:
    """The first convolution's kernel for another number of channels.

    One channel gets the sum of the three, so that a grey image gives what it
    gives as RGB. More channels get the three in turn, times `3 / channels`, so
    that the sum over channels keeps its size. timm does the same.

    Args:
        kernel: `(height, width, 3, filters)`.
        channels: At least 1.

    Returns: `(height, width, channels, filters)`.

    Reference: Wightman, PyTorch Image Models, `adapt_input_conv`.
    """
    if channels == RGB:
        return kernel
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True, dtype=kernel.dtype)
    cyclic = kernel[:, :, np.arange(channels) % RGB]
    return (cyclic * (RGB / channels)).astype(kernel.dtype)


def adapt_preprocessing(
    preprocessing: Preprocessing, channels: int
) -> Preprocessing:
    """Mean and scale for another number of channels.

    One channel gets the average of the three; where they differ, a grey image
    is then normalised a little differently than as RGB. More channels get the
    three in turn. What is one number for all channels stays so.

    Args:
        preprocessing: For RGB, or for any number of channels.
        channels: At least 1.
    """

    def adapt(values: tuple[float, ...]) -> tuple[float, ...]:
        if len(values) in (1, channels):
            return values
        if channels == 1:
            return (sum(values) / len(values),)
        return tuple(values[i % len(values)] for i in range(channels))

    return dataclasses.replace(
        preprocessing,
        mean=adapt(preprocessing.mean),
        scale=adapt(preprocessing.scale),
    )


def adapted_stem(
    tensors: Mapping[str, np.ndarray], variables: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """The kernel of the first convolution, where its channels have to change.

    Args:
        tensors: Trained tensors by name, in Keras's layout.
        variables: The model's variables by name, from its input on.

    Returns: Name and adapted kernel; nothing where the channels are the same,
        or the trained kernel is not for RGB.
    """
    stem = next((k for k, v in variables.items() if len(v.shape) == 4), None)
    kernel = None if stem is None else tensors.get(stem)
    if stem is None or kernel is None or kernel.ndim != 4:
        return {}
    channels = variables[stem].shape[2]
    if kernel.shape[2] != RGB or channels == RGB:
        return {}
    return {stem: adapt_kernel(kernel, channels)}
