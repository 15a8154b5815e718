"""Whether inputs look like something that a model can learn from."""

import warnings
from collections.abc import Iterator

import keras
import numpy as np

from dropzoo.callbacks.sanity_failure import SanityFailure
from dropzoo.models.preprocessing import check_raw_range


def input_failures(model: keras.Model, x: np.ndarray) -> list[SanityFailure]:
    """Looks for values that are not finite, for blanks and wrong ranges.

    Args:
        model: The model that takes them.
        x: The inputs, examples first.
    """
    share = np.mean(~np.isfinite(x))
    if share:
        sentence = (
            f"{share:.2%} of the input is not finite; a missing value or a "
            "division by zero is probably left in the data."
        )
        return [SanityFailure("input", sentence)]
    if len(x) > 1 and (x == x[:1]).all():
        sentence = (
            "All examples are equal; the files were probably not read, or "
            "became zero by a cast to whole numbers after scaling."
        )
        return [SanityFailure("input", sentence)]
    sentences = [_blank(x), _range(model, x) if x.ndim == 4 else None]
    return [SanityFailure("input", s, fatal=False) for s in sentences if s]


def _blank(x: np.ndarray) -> str | None:
    rows = x.reshape(len(x), -1)
    blank = (rows == rows[:, :1]).all(axis=1)
    if not blank.any() or rows.shape[1] == 1:
        return None
    return (
        f"{blank.sum()} of {len(x)} examples are blank, first the one at "
        f"position {blank.argmax()}; some files are probably damaged."
    )


def _range(model: keras.Model, images: np.ndarray) -> str | None:
    """Whether images have the range that the model's first layers expect."""
    layers = list(_layers(model))
    if any(
        isinstance(layer, keras.layers.Rescaling)
        and np.max(np.abs(layer.scale)) < 1 / 50  # from [0, 255]
        for layer in layers
    ):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            check_raw_range(images)
        return str(said[0].message) if said else None
    scalers = (
        keras.layers.Rescaling,
        keras.layers.Normalization,
        keras.layers.BatchNormalization,
    )
    if any(isinstance(layer, scalers) for layer in layers[:3]):
        return None
    if images.min() < 0 or images.max() <= 50:
        return None
    return (
        f"The images lie in [{images.min():g}, {images.max():g}] and the "
        "model does not rescale them; begin it with Rescaling(1 / 255)."
    )


def _layers(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else (layer,)
