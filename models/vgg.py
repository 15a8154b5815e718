"""VGG with 11, 13, 16 and 19 layers, for ImageNet and for CIFAR.

Convolutions of 3x3 in five stages, a pooling of 2x2 after each. The networks
for CIFAR normalise after every convolution and have a single dense layer.

Reference: Simonyan and Zisserman, "Very Deep Convolutional Networks for
Large-Scale Image Recognition", 2014, table 1 (A, B, D, E).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dropzoo.models.heads import classifier
from dropzoo.models.plain_layers import (
    LACKS,
    classifier_after_hidden,
    convolution,
    hidden_dense,
)
from dropzoo.models.spec import CIFAR10, IMAGENET, ModelSpec, Preprocessing
from dropzoo.models.techniques import Techniques

FILTERS = (64, 128, 256, 512, 512)  # of each stage
# Convolutions of each stage, by the layers with weights in all.
DEPTHS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
# Side of the blocks to drop, by stage: maps of 14x14; of 8x8 and 4x4.
BLOCKS = {5: 7}
BLOCKS_CIFAR = {3: 3, 4: 3}


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    depths: Sequence[int],
    units: int = 4096,
    dropout: float = 0.5,
) -> Any:
    """Builds a VGG for photos.

    The first dense layer is built for the map that comes, 7x7 at 224 pixels:
    larger maps, such as fractional pooling leaves, make it larger.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the last hidden layer.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary.
        depths: Convolutions of each stage.
        units: Of both hidden dense layers.
        dropout: Rate in [0, 1) after each hidden dense layer.

    Returns: A functional `keras.Model`.

    Raises: ValueError when `dropout` is outside its range.
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    x = _stages(x, depths, convolution, BLOCKS, techniques)
    x = keras.layers.Flatten(name="flatten")(x)
    x = hidden_dense(x, units, "dense1", techniques)
    x = techniques.dropout(x, "dropout1", dropout)
    x = hidden_dense(x, units, "dense2", techniques)
    logits = classifier_after_hidden(x, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


def build_cifar(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    depths: Sequence[int],
    dropout: float = 0.0,
) -> Any:
    """Builds a VGG for images of 32 pixels.

    What is left of the map, a single position at 32 pixels, is averaged.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the averaged features.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary.
        depths: Convolutions of each stage.
        dropout: Rate in [0, 1) before the classifier.

    Returns: A functional `keras.Model`.

    Raises: ValueError when `dropout` is outside its range.
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    x = _stages(x, depths, _normalised_convolution, BLOCKS_CIFAR, techniques)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = classifier(x, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


def _stages(
    x: Any,
    depths: Sequence[int],
    convolve: Callable[..., Any],
    blocks: Mapping[int, int],
    techniques: Techniques,
) -> Any:
    for stage, names in enumerate(_names(depths), start=1):
        for name in names:
            filters = FILTERS[stage - 1]
            x = convolve(x, filters, 3, name, techniques, padding="same")
            if stage in blocks:
                block = f"{name}_drop_block"
                x = techniques.drop_blocks(x, block, blocks[stage])
        x = techniques.pool(x, f"pool{stage}")
    return x


def _normalised_convolution(
    x: Any,
    filters: int,
    kernel_size: int,
    name: str,
    techniques: Techniques,
    **options: Any,
) -> Any:
    from keras import layers

    x = layers.Conv2D(filters, kernel_size, name=name, **options)(x)
    # Momentum and epsilon are PyTorch's, where these networks come from.
    x = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_bn"
    )(x)
    return techniques.activate(x, f"{name}_relu")


def _names(depths: Sequence[int]) -> Iterator[list[str]]:
    """Names of the convolutions of each stage."""
    for stage, count in enumerate(depths, start=1):
        yield [f"stage{stage}_conv{n}" for n in range(1, count + 1)]


def _source_names(
    depths: Sequence[int], layers_per_convolution: int, **ends: str
) -> Callable[[str], str]:
    """Our layer names to places in PyTorch's `features`, a flat sequence."""
    names, place = dict(ends), 0
    for stage in _names(depths):
        for name in stage:
            names[name] = f"features.{place}"
            names[f"{name}_bn"] = f"features.{place + 1}"
            place += layers_per_convolution
        place += 1  # the pooling
    return names.__getitem__


def _spec(layers: int, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=f"vgg{layers}",
        build=build,
        kwargs={"depths": DEPTHS[layers]},
        input_size=224,
        smallest_size=32,
        parameters=parameters,
        preprocessing=IMAGENET,
        source_names=_source_names(
            DEPTHS[layers],
            layers_per_convolution=2,
            dense1="classifier.0",
            dense2="classifier.3",
            logits="classifier.6",
        ),
        flattened={"dense1": FILTERS[-1]},
        lacks=LACKS,
        reference="Simonyan and Zisserman 2014",
    )


def _spec_cifar(layers: int, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=f"vgg{layers}_cifar",
        build=build_cifar,
        kwargs={"depths": DEPTHS[layers]},
        input_size=32,
        smallest_size=32,
        num_classes=10,
        parameters=parameters,
        preprocessing=CIFAR10,
        source_names=_source_names(
            DEPTHS[layers], layers_per_convolution=3, logits="classifier"
        ),
        lacks=LACKS,
        reference=(
            "Simonyan and Zisserman 2014, for CIFAR as in "
            "github.com/kuangliu/pytorch-cifar"
        ),
    )


SPECS = (
    _spec(11, 132_863_336),
    _spec(13, 133_047_848),
    _spec(16, 138_357_544),
    _spec(19, 143_667_240),
    _spec_cifar(11, 9_231_114),
    _spec_cifar(13, 9_416_010),
    _spec_cifar(16, 14_728_266),
    _spec_cifar(19, 20_040_522),
)
