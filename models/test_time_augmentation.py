"""A classifier that looks at each image several times."""

import itertools
import math
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

import keras

from dropzoo.models.averaged_outputs import (
    Averaged,
    average_outputs,
    plan_member,
)
from dropzoo.models.leading_layers import (
    LeadingLayer,
    behind,
    input_of,
    leading_layers,
    new_input,
)

VERB = "TestTimeAugmentation"
FIVE_CROPS_SCALE = 8 / 7  # 224 of 256 pixels, as AlexNet was tested


def TestTimeAugmentation(
    model: keras.Model,
    *,
    flips: bool = True,
    crops: bool = False,
    scales: Sequence[float] | None = None,
    average: Averaged = "probabilities",
    from_logits: bool | None = None,
) -> keras.Model:
    """A model that averages a classifier over several views of an image.

    The views are always the same: at each scale the image is enlarged, and
    windows of the classifier's own size are cut out, from its centre or from
    its corners too; of each, the mirror image is one more. So `flips=True,
    crops=True` gives the ten views of AlexNet.

    A classifier that begins with a `Resizing`, such as the `model.keras` of a
    run, has photos resized to the enlarged size at once, without a second
    interpolation.

    The classifier inside is a copy that shares nothing with the original. What
    is there for training alone is stripped.

    Args:
        model: A functional or Sequential classifier of one input `(batch,
            height, width, channels)`.
        flips: Whether the left-right mirror image of each view is one more.
        crops: Whether windows are cut from the four corners and the centre.
        scales: Factors from 1 on by which height and width are enlarged
            before a window is cut out. `None` is `(1,)`, with `crops`
            `(8 / 7,)`.
        average: "probabilities" or "logits", as `ensemble` averages them.
        from_logits: Whether the classifier gives logits; `None` finds out, as
            `ensemble` does.

    Returns: A functional model from the same input to probabilities, in
        float32, not compiled. `keras.saving.load_model` loads it without this
        package where it does so the classifier. It takes as many times the
        classifier's time as there are views.

    Raises:
        TypeError: `model` is not functional or a built Sequential model, or
            `scales` are no numbers.
        ValueError: The model takes no images of one size, where windows are to
            be cut; a scale is below 1, or all are 1 and `crops` are wanted; or
            `ensemble` would refuse the model.

    Example:
        >>> inputs = keras.Input((8, 8, 3))
        >>> logits = keras.layers.Dense(5)(keras.layers.Flatten()(inputs))
        >>> views = TestTimeAugmentation(keras.Model(inputs, logits))
        >>> views.output_shape
        (None, 5)

    Reference: Krizhevsky et al., "ImageNet Classification with Deep
        Convolutional Neural Networks", 2012, section 4.1.
    """
    plan = plan_member(VERB, model, average, from_logits)
    resizing = _resizing(model)
    scales = _checked(scales, crops)
    _check_images(model, resizing, scales)
    inputs = new_input(input_of(model))
    classifier = behind(model, resizing, plan.edits)
    outputs = []
    for view in _views(inputs, resizing, scales, crops):
        outputs.append(classifier(view, training=False))
        if flips:
            mirrored = keras.ops.flip(view, axis=2)
            outputs.append(classifier(mirrored, training=False))
    probabilities = average_outputs(outputs, [plan] * len(outputs), average)
    return keras.Model(inputs, probabilities, name=f"{model.name}_views")


def _resizing(model: keras.Model) -> list[LeadingLayer]:
    """The resizing that a model begins with, alone in a list, or none."""
    first = leading_layers(model)[:1]
    is_resizing = first and isinstance(first[0].layer, keras.layers.Resizing)
    return first if is_resizing else []


def _views(
    images: Any,
    resizing: list[LeadingLayer],
    scales: Sequence[float],
    crops: bool,
) -> Iterator[Any]:
    """Windows of the images at each scale, all of one size."""
    height, width = images.shape[1:3]
    config = {"dtype": images.dtype, "data_format": "channels_last"}
    if resizing:
        config = resizing[0].layer.get_config()
        height, width = config["height"], config["width"]
    for number, scale in enumerate(scales):
        if scale == 1 and not resizing:
            yield images
            continue
        size = round(scale * height), round(scale * width)
        resize = keras.layers.Resizing(
            **{
                **config,
                "height": size[0],
                "width": size[1],
                "name": f"scale_{number}",
            }
        )
        # A Resizing acts as in training, and so would what follows.
        enlarged = resize(images, training=False)
        margins = size[0] - height, size[1] - width
        for place, cropping in enumerate(_windows(*margins, crops)):
            yield keras.layers.Cropping2D(
                cropping,
                data_format="channels_last",
                name=f"scale_{number}_window_{place}",
            )(enlarged)


def _windows(height: int, width: int, crops: bool) -> list[Any]:
    """What to cut off, as ((top, bottom), (left, right)), for each window.

    Args:
        height: Rows to cut off.
        width: Columns to cut off.
        crops: Whether there are windows in the corners, too.
    """
    corners = itertools.product((0, height), (0, width)) if crops else ()
    starts = dict.fromkeys([(height // 2, width // 2), *corners])
    return [((top, height - top), (left, width - left)) for top, left in starts]


def _checked(scales: Any, crops: bool) -> tuple[float, ...]:
    """The scales, or what they are by default."""
    if scales is None:
        return (FIVE_CROPS_SCALE,) if crops else (1,)
    numbers = scales if isinstance(scales, (list, tuple)) else ()
    if not all(isinstance(scale, Real) for scale in numbers) or not numbers:
        raise TypeError(
            f"{VERB}: `scales` must be None or a list of numbers. "
            f"Received: scales={scales!r}"
        )
    if not all(1 <= scale < math.inf for scale in numbers):
        raise ValueError(
            f"{VERB}: `scales` must be at least 1: a window is cut out of an "
            f"image that is enlarged. Received: scales={scales!r}"
        )
    if crops and max(numbers) == 1:
        raise ValueError(
            f"{VERB}: `scales` must hold one above 1 where `crops` are "
            f"wanted, for there to be a margin. Received: scales={scales!r}"
        )
    return tuple(numbers)


def _check_images(
    model: keras.Model, resizing: Any, scales: tuple[float, ...]
) -> None:
    """Raises unless a model takes images that windows can be cut from."""
    images = input_of(model)
    if not isinstance(images, keras.KerasTensor) or len(images.shape) != 4:
        raise ValueError(
            f"{VERB}: `model` must take images as one input (batch, height, "
            f"width, channels). Received: {model.name!r}, whose input is "
            f"{images}"
        )
    if None in images.shape[1:3] and max(scales) > 1 and not resizing:
        raise ValueError(
            f"{VERB}: `model` must take images of one size or begin with a "
            "keras.layers.Resizing, for windows to be cut from them. "
            f"Received: {model.name!r} on {images.shape}"
        )
