"""Images and labels, in any form that a search is given them."""

from typing import Any

import numpy as np

from dropzoo.data.examples import Examples
from dropzoo.data.pixel_arrays import check_image_shape, to_rgb, to_uint8


def as_examples(x: Any, y: Any = None) -> Examples:
    """Labelled images as the kit's pipeline reads them.

    Args:
        x: `Examples`, which may be larger than memory; an array of images,
            `(n, height, width)` or `(n, height, width, channels)` with 1 or 3
            channels, in [0, 255], or in [0, 1] if floating; or batches
            `(images, labels)` of such, as a `tf.data.Dataset` gives them, which
            are read into memory.
        y: Classes `(n,)` or `(n, 1)`, where `x` is an array.

    Raises:
        TypeError: The images are no numbers.
        ValueError: The images have another shape or range, or labels are
            missing or given twice.
    """
    if isinstance(x, Examples) or not hasattr(x, "shape"):
        if y is not None:
            raise ValueError(
                "ZooHyperModel: `y` must be left out where `x` holds the "
                f"labels. Received: x of {type(x).__name__}"
            )
        return x if isinstance(x, Examples) else as_examples(*_read(x))
    images = np.asarray(x)
    if y is None or len(y) != len(images):
        received = "none" if y is None else f"{len(y)} labels"
        raise ValueError(
            "ZooHyperModel: `y` must have a label for each image of `x`. "
            f"Received: {received} for {len(images)} images"
        )
    check_image_shape(images, "x")
    pixels, _ = to_uint8(images, "x")
    names = [f"x[{index}]" for index in range(len(pixels))]
    return Examples(
        labels=np.asarray(y).reshape(-1).astype(np.int32),
        names=names,
        digests=names,
        reader=lambda index: to_rgb(pixels[index]),
    )


def _read(batches: Any) -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(
        *((np.asarray(x), np.asarray(y)) for x, y in batches), strict=True
    )
    return np.concatenate(images), np.concatenate(labels)
