"""Arrays of pixels of any common kind become uint8 RGB."""

from __future__ import annotations

import numpy as np

from .decoding import MIN_SIDE


def to_uint8(array: np.ndarray, name: str) -> tuple[np.ndarray, str | None]:
    """Brings pixel values to 0..255 as uint8.

    Whole numbers and booleans: 0..255 stay, booleans become 0 and 255.
    Floats whose largest value is at most 1 are taken for [0, 1] and scaled,
    larger ones for [0, 255] and rounded. The range is judged over the whole
    array: one dark image must not be scaled differently from the others.

    Args:
        array: Pixel values of any shape.
        name: What a person calls the array, for messages.

    Returns:
        The values, and a sentence where they were scaled.

    Raises:
        TypeError: when the array holds no numbers.
        ValueError: when a value is not finite or outside [0, 255].
    """
    if array.dtype == np.uint8:
        return array, None
    if array.dtype == bool:
        return array * np.uint8(255), f"{name}: booleans became 0 and 255"
    if array.dtype.kind not in "iuf":
        raise TypeError(
            f"load: `{name}` must hold numbers. Received: dtype {array.dtype}"
        )
    smallest, largest = (array.min(), array.max()) if array.size else (0, 0)
    if not (smallest >= 0 and largest <= 255):  # also catches NaN
        raise ValueError(
            f"load: `{name}` must hold finite pixel values in [0, 255], or in "
            f"[0, 1] if floating. Received: {smallest} to {largest}"
        )
    if array.dtype.kind != "f":
        return array.astype(np.uint8), None
    if largest > 1:
        return np.rint(array).astype(np.uint8), (
            f"{name}: floating values up to {largest:g} were rounded"
        )
    return np.rint(array * np.float32(255)).astype(np.uint8), (
        f"{name}: floating values in [0, 1] were scaled to 0..255"
    )


def check_image_shape(array: np.ndarray, name: str) -> None:
    """Refuses what is not a stack of grey or RGB images.

    Args:
        array: Should be `(n, height, width)` or `(n, height, width, channels)`
            with 1 or 3 channels.
        name: What a person calls the array, for messages.

    Raises:
        ValueError: when it has another shape, or sides under `MIN_SIDE`.
    """
    shape = array.shape
    if len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3)):
        if min(shape[1:3]) >= MIN_SIDE:
            return
    raise ValueError(
        f"load: `{name}` must have shape (n, height, width) or (n, height, "
        f"width, channels) with 1 or 3 channels, channels last, and sides of "
        f"at least {MIN_SIDE}. Received: {shape}"
    )


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Repeats a grey image's values in three channels.

    Args:
        image: `(height, width)`, `(height, width, 1)` or
            `(height, width, 3)`.

    Returns:
        `(height, width, 3)`, a copy.
    """
    planes = image if image.ndim == 3 else image[..., np.newaxis]
    return np.array(np.broadcast_to(planes, (*planes.shape[:2], 3)))
