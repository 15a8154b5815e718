"""Wide ResNets: fewer residual blocks with more channels.

Blocks normalise and activate before each of their two 3x3 convolutions. Where
a block changes the shape, its shortcut is a 1x1 convolution that reads the
activated input, as its branch does.

Reference: Zagoruyko and Komodakis, "Wide Residual Networks", 2016, table 1.
"""

from typing import Any

from dropzoo.models.deep_graph import allow_deep_graph
from dropzoo.models.heads import classifier
from dropzoo.models.residual_blocks import (
    LACKS,
    Block,
    add_residual,
    convolve,
    normalize,
    residual_blocks,
)
from dropzoo.models.spec import CIFAR10, LEVELS, ModelSpec, Preprocessing
from dropzoo.models.techniques import Techniques, check_rate

FILTERS = (16, 32, 64)  # of each stage, times the width


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    depth: int,
    width: int,
    block_dropout: float = 0.0,
    skip: bool = False,
    dropout: float = 0.0,
) -> Any:
    """Builds a Wide ResNet for small images.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the pooled features.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary.
        depth: Convolutions on the way through the branches: 6 n + 4, from 10.
        width: Factor on the channels of every stage, from 1.
        block_dropout: Rate in [0, 1) between the convolutions of a block. The
            authors take 0.3 for CIFAR where they use it.
        skip: Whether branches that stochastic depth drops are left
            uncomputed, a gate for each batch. Otherwise they are masked, a
            gate for each sample.
        dropout: Rate in [0, 1) before the classifier.

    Returns: A functional `keras.Model`.

    Raises: ValueError when `depth` or `width` is no such number, or a rate is
        outside [0, 1).
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    if depth < 10 or depth % 6 != 4 or width < 1:
        raise ValueError(
            "create_model: `depth` must be 6 n + 4 for a whole n from 1, and "
            "`width` at least 1, such as 28 and 10. "
            f"Received: depth={depth!r}, width={width!r}"
        )
    check_rate("block_dropout", block_dropout)
    filters = tuple(width * channels for channels in FILTERS)
    allow_deep_graph(5 * depth)  # ten for each block of two convolutions
    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    x = convolve(x, FILTERS[0], 1, "stem_conv")
    for block in residual_blocks(filters, depth // 6, techniques, skip):
        x = wide_block(x, block, techniques, block_dropout)
    x = techniques.activate(normalize(x, "head_bn"), "head_relu")
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = classifier(features, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


def wide_block(
    x: Any, block: Block, techniques: Techniques, dropout: float
) -> Any:
    """Two convolutions that read normalised, activated maps; their sum.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        block: Its shape and its rate of being dropped.
        techniques: What to vary.
        dropout: Rate in [0, 1) between the convolutions.

    Reference: Zagoruyko and Komodakis, 2016, figure 1d.
    """
    keeps_shape = block.filters == x.shape[-1]

    def branch(x):
        if keeps_shape:
            x = _activate(x, block, 1, techniques)
        x = convolve(x, block.filters, block.strides, f"{block.name}_conv1")
        x = _activate(x, block, 2, techniques)
        x = techniques.dropout(x, f"{block.name}_dropout", dropout)
        x = convolve(x, block.filters, 1, f"{block.name}_conv2")
        if block.drops_blocks:
            x = techniques.drop_blocks(x, f"{block.name}_drop_block")
        return x

    if keeps_shape:
        return add_residual(x, branch, None, block, techniques)
    x = _activate(x, block, 1, techniques)  # read by branch and shortcut
    return add_residual(
        x, branch, lambda x: _project(x, block), block, techniques
    )


def _activate(x: Any, block: Block, number: int, techniques: Any) -> Any:
    x = normalize(x, f"{block.name}_bn{number}")
    return techniques.activate(x, f"{block.name}_relu{number}")


def _project(x: Any, block: Block) -> Any:
    from keras import layers

    return layers.Conv2D(
        block.filters,
        1,
        block.strides,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{block.name}_shortcut_conv",
    )(x)


def _spec(depth: int, width: int, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=f"wrn{depth}_{width}",
        build=build,
        kwargs={"depth": depth, "width": width},
        input_size=32,
        levels=LEVELS[:2],
        parameters=parameters,
        preprocessing=CIFAR10,
        lacks=LACKS,
        num_classes=10,
        reference="Zagoruyko and Komodakis 2016",
    )


SPECS = (
    _spec(16, 8, 10_961_370),
    _spec(28, 10, 36_479_194),
    _spec(40, 4, 8_949_210),
)
