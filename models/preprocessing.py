"""The preprocessing contract: raw RGB goes in, and it travels with the model.

One resize rule serves everywhere: bilinear, without antialiasing (which the
exporters cannot express), the whole photo stretched to the network's size, and
rounded back to whole numbers. Because it is rounded, the input pipeline can
hand uint8 images to the network and agree with the saved model to the bit.
"""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from dropzoo.models.spec import Preprocessing
from dropzoo.models.stripping import strip_training_layers

if TYPE_CHECKING:
    import keras


def normalization(preprocessing: Preprocessing) -> "keras.Layer":
    """A layer from raw RGB in [0, 255] to what the network was trained on.

    Args:
        preprocessing: Mean and scale of each channel.
    """
    import keras

    return keras.layers.Rescaling(
        scale=[1 / scale for scale in preprocessing.scale],
        offset=[
            -mean / scale
            for mean, scale in zip(
                preprocessing.mean, preprocessing.scale, strict=True
            )
        ],
        name="normalization",
    )


def resizing(height: int, width: int) -> "keras.Layer":
    """The resize rule: any uint8 RGB image to uint8 of one size.

    Args:
        height: Of the result, in pixels.
        width: Of the result, in pixels.
    """
    import keras

    return keras.layers.Resizing(
        height,
        width,
        interpolation="bilinear",
        antialias=False,
        dtype="uint8",
        name="resizing",
    )


def raw_input_model(model: "keras.Model") -> "keras.Model":
    """A model from photos of any size to class probabilities.

    Args:
        model: A catalogue model with its preprocessing inside, ending in
            logits.

    Returns: A functional model from `(batch, height, width, 3)` uint8 RGB of
        any size to probabilities `(batch, num_classes)`. It loads with
        `keras.saving.load_model` alone: layers that only training needs are
        left out.
    """
    import keras

    # Its own layers without its optimizer, which would go into the file and
    # ask for this package when the file is loaded.
    network = keras.Model(model.input, model.output, name=model.name)
    height, width, channels = model.input_shape[1:]
    photos = keras.Input((None, None, channels), dtype="uint8", name="photos")
    x = resizing(height, width)(photos)
    logits = strip_training_layers(network)(x, training=False)
    probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(
        logits
    )
    return keras.Model(photos, probabilities, name=f"{model.name}_classifier")


def check_raw_range(images: Any) -> None:
    """Warns when images look normalised already.

    A photo whose brightest value is at most 1 is as good as black in [0, 255];
    nearly always it was divided by 255 before.

    Args:
        images: A batch for a model that takes raw RGB in [0, 255]: an array
            or a tensor.
    """
    pixels = np.asarray(images)
    if not pixels.size:
        return
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or 0 < high <= 1:
        warnings.warn(
            "The model normalises its input itself and takes RGB in "
            f"[0, 255], but these images lie in [{low:.3g}, {high:.3g}]: "
            "they look normalised already; give it raw pixels.",
            stacklevel=2,
        )
