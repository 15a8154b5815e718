"""ResNets for photos, as torchvision and timm build and train them.

Four stages of residual blocks: two 3x3 convolutions each in the networks of 18
and 34 layers; 1x1, 3x3 and 1x1 in the deeper ones. These halve the map in the
3x3 convolution ("version 1.5") where the paper, and `resnet50` of Keras with
it, does so in the 1x1 convolution before. Padding is equal on all sides, no
convolution has a bias, BatchNorm's epsilon is 1e-5.

References: He et al., "Deep Residual Learning for Image Recognition", 2016,
table 1; version 1.5: github.com/facebookarchive/fb.resnet.torch.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from dropzoo.models.heads import classifier
from dropzoo.models.residual_blocks import (
    Block,
    add_residual,
    convolve,
    normalize,
)
from dropzoo.models.spec import IMAGENET, ModelSpec, Preprocessing
from dropzoo.models.techniques import Techniques

FILTERS = (64, 128, 256, 512)  # of each stage's 3x3 convolutions
EXPANSION = 4  # of a bottleneck's last convolution
FIRST_COARSE_STAGE = 3  # from here on 1/16 of the input and coarser


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    repeats: Sequence[int],
    bottleneck: bool,
    dropout: float = 0.0,
) -> Any:
    """Builds a ResNet for photos.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the pooled features.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary. The one pooling is that after the first
            convolution.
        repeats: Blocks of each stage.
        bottleneck: Whether blocks have three convolutions instead of two.
        dropout: Rate in [0, 1) before the classifier.

    Returns: A functional `keras.Model`.

    Raises: ValueError when `dropout` is outside its range.
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    residual = bottleneck_block if bottleneck else basic_block
    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    x = _stem(x, techniques)
    for block in _blocks(repeats, techniques):
        x = residual(x, block, techniques)
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = classifier(features, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


def basic_block(x: Any, block: Block, techniques: Techniques) -> Any:
    """Two 3x3 convolutions, added to their input.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        block: Its shape and its rate of being dropped.
        techniques: What to vary.
    """
    name = block.name

    def branch(x):
        x = convolve(x, block.filters, block.strides, f"{name}_conv1")
        x = techniques.activate(normalize(x, f"{name}_bn1"), f"{name}_relu1")
        x = convolve(x, block.filters, 1, f"{name}_conv2")
        return normalize(x, f"{name}_bn2")

    return _add(x, branch, block, block.filters, techniques)


def bottleneck_block(x: Any, block: Block, techniques: Techniques) -> Any:
    """A 3x3 convolution between two of 1x1, added to their input.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        block: Its shape and its rate of being dropped.
        techniques: What to vary.
    """
    name = block.name
    width = EXPANSION * block.filters

    def branch(x):
        x = _project(x, block.filters, 1, f"{name}_conv1")
        x = techniques.activate(normalize(x, f"{name}_bn1"), f"{name}_relu1")
        x = convolve(x, block.filters, block.strides, f"{name}_conv2")
        x = techniques.activate(normalize(x, f"{name}_bn2"), f"{name}_relu2")
        x = _project(x, width, 1, f"{name}_conv3")
        return normalize(x, f"{name}_bn3")

    return _add(x, branch, block, width, techniques)


def _add(
    x: Any, branch: Any, block: Block, width: int, techniques: Techniques
) -> Any:
    """Adds a branch of `width` channels, with a shortcut that fits it."""
    name = block.name

    def dropping_branch(x):
        x = branch(x)
        if block.drops_blocks:
            x = techniques.drop_blocks(x, f"{name}_drop_block")
        return x

    def shortcut(x):
        x = _project(x, width, block.strides, f"{name}_shortcut_conv")
        return normalize(x, f"{name}_shortcut_bn")

    fits = block.strides == 1 and x.shape[-1] == width
    x = add_residual(
        x, dropping_branch, None if fits else shortcut, block, techniques
    )
    return techniques.activate(x, f"{name}_relu")


def _stem(x: Any, techniques: Techniques) -> Any:
    """A 7x7 convolution and a pooling, each of which halves the map."""
    from keras import layers

    x = layers.ZeroPadding2D(3, name="stem_pad")(x)
    x = layers.Conv2D(
        64,
        7,
        2,
        use_bias=False,
        kernel_initializer="he_normal",
        name="stem_conv",
    )(x)
    x = techniques.activate(normalize(x, "stem_bn"), "stem_relu")
    # Zeros stand below nothing that a ReLU leaves.
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    return techniques.pool(x, "stem_pool", size=3, strides=2)


def _blocks(repeats: Sequence[int], techniques: Techniques) -> Iterator[Block]:
    rates = iter(techniques.depth_rates(sum(repeats), "paper"))
    for stage, (filters, count) in enumerate(
        zip(FILTERS, repeats, strict=True), start=1
    ):
        for index in range(1, count + 1):
            yield Block(
                name=f"stage{stage}_block{index}",
                filters=filters,
                strides=2 if stage > 1 and index == 1 else 1,
                drop_rate=next(rates),
                drops_blocks=stage >= FIRST_COARSE_STAGE,
                skip=False,
            )


def _project(x: Any, filters: int, strides: int, name: str) -> Any:
    from keras import layers

    return layers.Conv2D(
        filters,
        1,
        strides,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


ENDS = {"stem_conv": "conv1", "stem_bn": "bn1", "logits": "fc"}
SHORTCUT = {"conv": "downsample.0", "bn": "downsample.1"}


def source_name(layer: str) -> str:
    """Name of one of our layers in the state dicts of torchvision and timm.

    Args:
        layer: A layer with weights.
    """
    if layer in ENDS:
        return ENDS[layer]
    stage, block, *part = layer.split("_")
    place = f"layer{stage[5:]}.{int(block[5:]) - 1}"
    if part[0] == "shortcut":
        return f"{place}.{SHORTCUT[part[1]]}"
    return f"{place}.{part[0]}"


def _spec(name: str, parameters: int, *repeats: int) -> ModelSpec:
    return ModelSpec(
        name=name,
        build=build,
        kwargs={"repeats": repeats, "bottleneck": name.endswith("_v1_5")},
        input_size=224,
        parameters=parameters,
        preprocessing=IMAGENET,
        source_names=source_name,
        reference="He et al. 2016, as in torchvision",
    )


SPECS = (
    _spec("resnet18", 11_689_512, 2, 2, 2, 2),
    _spec("resnet34", 21_797_672, 3, 4, 6, 3),
    _spec("resnet50_v1_5", 25_557_032, 3, 4, 6, 3),
    _spec("resnet101_v1_5", 44_549_160, 3, 4, 23, 3),
    _spec("resnet152_v1_5", 60_192_808, 3, 8, 36, 3),
)
