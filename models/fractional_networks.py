"""Graham's networks: many small steps of fractional max pooling.

`(160n C2 - FMP 2^(1/3)) x 12 - C2 - C1 - output` in the paper's notation: the
nth of twelve layers is a 2x2 convolution to 160 n channels, after which the map
shrinks by the cube root of 2. A 2x2 and a 1x1 convolution follow, their
channels counted on. No convolution pads, so that sizes grow backwards, from a
last map of one position to 94x94.

A smaller image is set into the middle of such a field of zeros, as the author
does with those of CIFAR; for a larger one the last map grows, and its mean is
taken.

Another pooling, which halves, comes only where that many fractional steps
would have halved the map, so that it shrinks by as much in the end.

Reference: Graham, "Fractional Max-Pooling", 2014, sections 3 and 4; channels of
the last layers, leakiness and dropout as in its author's code.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dropzoo.models.heads import classifier
from dropzoo.models.spec import CIFAR10, LEVELS, ModelSpec, Preprocessing
from dropzoo.models.techniques import Techniques, check_rate

LEAKINESS = 1 / 3  # slope below 0 of what the author calls very leaky
LACKS = {"stochastic_depth": "it has no residual branch"}
# The black ground of a digit is 0, as the field around it.
DIGITS = Preprocessing((0.0,), (255.0,), crop=1.0)


@dataclass(frozen=True)
class FractionalStyle:
    """What the layers of a network have in common.

    Args:
        filters: Channels of the first layer; the nth has n times as many.
        poolings: Layers that would end in a fractional pooling.
        dropout: Rate in [0, 1) of the last hidden layer.
        techniques: What to vary.
    """

    filters: int
    poolings: int
    dropout: float
    techniques: Techniques


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    filters: int,
    poolings: int,
    poolings_to_halve: int,
    dropout: float = 0.5,
) -> Any:
    """Builds a network of fractional max pooling.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the pooled features.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw images, or `None`.
        techniques: What to vary. `pooling="fractional"` is the network's own.
        filters: Channels of the first layer, from 1; the nth has n times as
            many.
        poolings: Layers that end in a fractional pooling, from 1.
        poolings_to_halve: After how many of them the map is half as large,
            from 1: each shrinks it by that root of 2.
        dropout: Rate in [0, 1) of the last hidden layer. The rates of those
            before it grow up to it linearly, from 0; whole channels are
            dropped.

    Returns: A functional `keras.Model`.

    Raises: ValueError when a number is below 1, or a rate is outside [0, 1).
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    if min(filters, poolings, poolings_to_halve) < 1:
        raise ValueError(
            "create_model: `filters`, `poolings` and `poolings_to_halve` must "
            f"be at least 1. Received: filters={filters!r}, "
            f"poolings={poolings!r}, poolings_to_halve={poolings_to_halve!r}"
        )
    check_rate("dropout", dropout)
    style = FractionalStyle(filters, poolings, dropout, techniques)
    ratios = pooling_ratios(poolings, poolings_to_halve, techniques)
    heights, widths = (grow_sizes(side, ratios) for side in input_shape[:2])
    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    x = _set_into_field(x, heights[0], widths[0])
    for number, ratio in enumerate(ratios, start=1):
        size = heights[number], widths[number]
        x = hidden_layer(x, number, style, size=size if ratio > 1 else None)
    x = hidden_layer(x, poolings + 1, style)
    x = hidden_layer(x, poolings + 2, style, side=1)
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = classifier(features, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


def hidden_layer(
    x: Any,
    number: int,
    style: FractionalStyle,
    *,
    side: int = 2,
    size: tuple[int, int] | None = None,
) -> Any:
    """Drops channels of what it reads, convolves, activates and pools.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        number: Which layer it is, from 1.
        style: What the layers of the network have in common.
        side: Of the kernel.
        size: Height and width after pooling; `None` pools nothing.
    """
    from keras import layers

    name, techniques = f"layer{number}", style.techniques
    # The nth layer's own rate is (n - 1) / (poolings + 1) of the last one's.
    rate = style.dropout * max(number - 2, 0) / (style.poolings + 1)
    x = techniques.dropout(x, f"{name}_dropout", rate, whole_maps=True)
    x = layers.Conv2D(number * style.filters, side, name=f"{name}_conv")(x)
    if techniques.activation is None:
        x = layers.LeakyReLU(LEAKINESS, name=f"{name}_leaky_relu")(x)
    else:
        x = techniques.activate(x, f"{name}_activation")
    if size is None:
        return x
    x = techniques.pool(x, f"{name}_pool", own="fractional", output_size=size)
    if 2 * number <= style.poolings:
        return x
    return techniques.drop_blocks(x, f"{name}_drop_block")


def pooling_ratios(
    poolings: int, poolings_to_halve: int, techniques: Techniques
) -> list[float]:
    """By how much each layer but the last two shrinks the map.

    Args:
        poolings: Their number.
        poolings_to_halve: After how many the map is half as large.
        techniques: Its `pooling` is used.

    Returns: The same root of 2 for all, or 2 for some and 1 for the others.
    """
    if techniques.pooling in (None, "fractional"):
        return [2 ** (1 / poolings_to_halve)] * poolings
    return [
        1 if number % poolings_to_halve else 2
        for number in range(1, poolings + 1)
    ]


def grow_sizes(side: int, ratios: Sequence[float]) -> list[int]:
    """Sizes of the maps between the layers, grown backwards.

    Args:
        side: Of the image.
        ratios: By how much each layer shrinks the map, behind a convolution
            that takes 1 off.

    Returns: The size of the field, at least `side`, and those after each
        layer; the last is the smallest one for which the image fits.

    Example:
        >>> grow_sizes(28, [2**0.5] * 6)
        [36, 25, 17, 11, 7, 4, 2]
    """
    for last in itertools.count(2):  # the last 2x2 convolution needs as much
        sizes = [last]
        for ratio in reversed(ratios):
            sizes.append(round(sizes[-1] * ratio) + 1)
        if sizes[-1] >= side:
            break
    return sizes[::-1]


def _set_into_field(x: Any, height: int, width: int) -> Any:
    from keras import layers

    margins = height - x.shape[1], width - x.shape[2]
    if not any(margins):
        return x
    edges = tuple((margin // 2, margin - margin // 2) for margin in margins)
    return layers.ZeroPadding2D(edges, name="field")(x)


def _spec(name: str, parameters: int, **fields: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        build=build,
        parameters=parameters,
        lacks=LACKS,
        num_classes=10,
        reference="Graham 2014, sections 3 and 4",
        **fields,
    )


CIFAR = {"input_size": 94, "levels": LEVELS, "preprocessing": CIFAR10}

SPECS = (
    _spec(
        "fmp_cifar",
        79_247_530,
        kwargs={"filters": 160, "poolings": 12, "poolings_to_halve": 3},
        **CIFAR,
    ),
    _spec(
        "fmp_cifar_small",
        3_176_490,
        kwargs={"filters": 32, "poolings": 12, "poolings_to_halve": 3},
        **CIFAR,
    ),
    _spec(
        "fmp_mnist",
        519_946,
        kwargs={"filters": 32, "poolings": 6, "poolings_to_halve": 2},
        input_size=36,
        channels=1,
        preprocessing=DIGITS,
    ),
)
