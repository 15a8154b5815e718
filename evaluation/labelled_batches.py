"""Labelled images in any form that Keras takes, batch by batch."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


def predict_labelled(
    model: keras.Model, x: Any, y: Any = None, *, batch_size: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """What a model gives for labelled images, beside their labels.

    Args:
        model: One input, one output.
        x: Images as an array; or batches `(images, labels)`: a
            `tf.data.Dataset`, a `keras.utils.PyDataset` or any iterable.
        y: Labels, one for each image, where `x` is an array.
        batch_size: Images at a time, where `x` is an array; at least 1.

    Returns: The outputs as float64, and the labels.

    Raises: ValueError when labels are missing or are given twice, there is
        no image, or `batch_size` is below 1.
    """
    outputs, labels = [], []
    for images, classes in _batches(x, y, batch_size):
        # JAX and PyTorch take no tensors of TensorFlow, PyTorch no arrays.
        pixels = keras.ops.convert_to_tensor(np.asarray(images))
        rows = keras.ops.convert_to_numpy(model.predict_on_batch(pixels))
        outputs.append(np.asarray(rows, "float64"))
        labels.append(np.asarray(classes))
    if not outputs:
        raise ValueError(
            "calibrate: `x` must hold at least one image. Received: nothing. "
            "A generator can be read only once"
        )
    return np.concatenate(outputs), np.concatenate(labels)


def _batches(x: Any, y: Any, batch_size: int) -> Iterator[tuple[Any, Any]]:
    if not hasattr(x, "shape"):
        if y is not None:
            raise ValueError(
                "calibrate: `y` must be left out where `x` gives batches "
                f"(images, labels). Received: x of {type(x).__name__}"
            )
        yield from map(_pair, _read(x))
        return
    if y is None or len(y) != len(x):
        received = "nothing" if y is None else f"{len(y)} labels"
        raise ValueError(
            "calibrate: `y` must have a label for each image of `x`. "
            f"Received: {received} for {len(x)} images"
        )
    if batch_size < 1:
        raise ValueError(
            "calibrate: `batch_size` must be at least 1. "
            f"Received: batch_size={batch_size!r}"
        )
    for start in range(0, len(x), batch_size):
        part = slice(start, start + batch_size)
        yield x[part], y[part]


def _read(batches: Any) -> Iterator[Any]:
    if isinstance(batches, keras.utils.PyDataset):  # its iterator may not end
        return (batches[i] for i in range(batches.num_batches))
    return iter(batches)


def _pair(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, tuple) or len(batch) < 2:
        raise ValueError(
            "calibrate: `x` must give batches (images, labels). "
            f"Received: {type(batch).__name__} as a batch"
        )
    return batch[0], batch[1]
