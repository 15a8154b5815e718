"""SqueezeNet 1.0 and 1.1: fire modules, which squeeze and then expand.

A 1x1 convolution to few channels, of which 1x1 and 3x3 convolutions side by
side make many again: the accuracy of AlexNet with a fiftieth of its weights.
Version 1.1 has a smaller first kernel and pools earlier.

Reference: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer
parameters and <0.5MB model size", 2016, table 1; version 1.1:
github.com/forresti/SqueezeNet.
"""

from collections.abc import Callable, Sequence
from typing import Any

from dropzoo.models.heads import classifier
from dropzoo.models.plain_layers import LACKS, convolution
from dropzoo.models.spec import IMAGENET, LEVELS, ModelSpec, Preprocessing
from dropzoo.models.techniques import Techniques

# Channels of each fire module: squeezed, and of either expansion.
FIRES = {
    2: (16, 64),
    3: (16, 64),
    4: (32, 128),
    5: (32, 128),
    6: (48, 192),
    7: (48, 192),
    8: (64, 256),
    9: (64, 256),
}


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    filters: int,
    kernel_size: int,
    pools_before: Sequence[int],
    dropout: float = 0.5,
) -> Any:
    """Builds a SqueezeNet.

    The paper's last 1x1 convolution makes a map for each class, of which the
    averages, below a ReLU, are the logits. As in `nin_cifar`, the maps are
    averaged first and the same weights applied after, without that ReLU.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the averaged features.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary.
        filters: Of the first convolution.
        kernel_size: Of the first convolution.
        pools_before: Numbers of the fire modules with a pooling before them.
        dropout: Rate in [0, 1) before the classifier.

    Returns: A functional `keras.Model`.

    Raises: ValueError when `dropout` is outside its range.
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    x = convolution(x, filters, kernel_size, "conv1", techniques, strides=2)
    for number, widths in FIRES.items():
        if number in pools_before:
            x = _halve(x, f"pool{number - 1}", techniques)
        x = _fire(x, widths, f"fire{number}", techniques)
        if number >= pools_before[-1]:  # maps of 13x13
            x = techniques.drop_blocks(x, f"fire{number}_drop_block")
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = classifier(x, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


def _halve(x: Any, name: str, techniques: Techniques) -> Any:
    """Pools 3x3 by 2; what is left over at the end gets a window too.

    Caffe rounds the size of the result up. On maps of even height and width,
    `"same"` does just that; on odd ones nothing is left over.
    """
    padding = "valid" if x.shape[1] % 2 else "same"
    return techniques.pool(x, name, size=3, strides=2, padding=padding)


def _fire(
    x: Any, widths: tuple[int, int], name: str, techniques: Techniques
) -> Any:
    from keras import layers

    squeezed, expanded = widths
    x = convolution(x, squeezed, 1, f"{name}_squeeze", techniques)
    branches = [
        convolution(
            x,
            expanded,
            side,
            f"{name}_expand{side}x{side}",
            techniques,
            padding="same",
        )
        for side in (1, 3)
    ]
    return layers.Concatenate(name=name)(branches)


def _source_names(pools_before: Sequence[int]) -> Callable[[str], str]:
    """Our layer names to places in torchvision's `features`, a sequence."""
    names = {"conv1": "features.0", "logits": "classifier.1"}
    place = 2  # after the first convolution and its ReLU
    for number in FIRES:
        place += number in pools_before
        for part in ("squeeze", "expand1x1", "expand3x3"):
            names[f"fire{number}_{part}"] = f"features.{place}.{part}"
        place += 1
    return names.__getitem__


def _spec(
    version: str, parameters: int, smallest_size: int, **kwargs: Any
) -> ModelSpec:
    return ModelSpec(
        name=f"squeezenet{version}",
        build=build,
        kwargs=kwargs,
        input_size=224,
        levels=LEVELS[:4],
        smallest_size=smallest_size,
        parameters=parameters,
        preprocessing=IMAGENET,
        source_names=_source_names(kwargs["pools_before"]),
        lacks=LACKS,
        reference="Iandola et al. 2016",
    )


V1_0 = {"filters": 96, "kernel_size": 7, "pools_before": (2, 5, 9)}
V1_1 = {"filters": 64, "kernel_size": 3, "pools_before": (2, 4, 6)}

SPECS = (
    _spec("1_0", 1_248_424, smallest_size=21, **V1_0),
    _spec("1_1", 1_235_496, smallest_size=17, **V1_1),
)
