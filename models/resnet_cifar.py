"""ResNets for CIFAR, of constant or stochastic depth.

A 3x3 convolution, then three stages of blocks with two 3x3 convolutions each:
6 n + 2 layers with weights for n blocks in a stage. No shortcut has weights:
where a stage halves the map and doubles the channels, it takes every second row
and column and appends channels of zeros (the paper's option A).

With `stochastic_depth=0.5` it is the network of Huang et al.; with `skip=True`
blocks that are dropped are not computed, which saves their time.

References: He et al., "Deep Residual Learning for Image Recognition", 2016,
section 4.2; Huang et al., "Deep Networks with Stochastic Depth", 2016.
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
from dropzoo.models.techniques import Techniques

FILTERS = (16, 32, 64)


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    depth: int,
    skip: bool = False,
    dropout: float = 0.0,
) -> Any:
    """Builds a ResNet for small images.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the pooled features.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary.
        depth: Layers with weights: 6 n + 2, from 8.
        skip: Whether branches that stochastic depth drops are left
            uncomputed, a gate for each batch. Otherwise they are masked, a
            gate for each sample.
        dropout: Rate in [0, 1) before the classifier.

    Returns: A functional `keras.Model`.

    Raises: ValueError when `depth` is no such number, or a rate is outside
        [0, 1).
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    if depth < 8 or depth % 6 != 2:
        raise ValueError(
            "create_model: `depth` must be 6 n + 2 for a whole n from 1, such "
            f"as 20 or 110. Received: depth={depth!r}"
        )
    allow_deep_graph(5 * depth)  # ten for each block of two convolutions
    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    x = normalize(convolve(x, FILTERS[0], 1, "stem_conv"), "stem_bn")
    x = techniques.activate(x, "stem_relu")
    for block in residual_blocks(FILTERS, depth // 6, techniques, skip):
        x = residual_block(x, block, techniques)
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = classifier(features, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


def residual_block(x: Any, block: Block, techniques: Techniques) -> Any:
    """Two convolutions, added to their input, and an activation.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        block: Its shape and its rate of being dropped.
        techniques: What to vary.

    Reference: He et al., 2016, section 3.1.
    """
    name = block.name

    def branch(x):
        x = convolve(x, block.filters, block.strides, f"{name}_conv1")
        x = techniques.activate(normalize(x, f"{name}_bn1"), f"{name}_relu1")
        x = convolve(x, block.filters, 1, f"{name}_conv2")
        x = normalize(x, f"{name}_bn2")
        if block.drops_blocks:
            x = techniques.drop_blocks(x, f"{name}_drop_block")
        return x

    def shortcut(x):
        return _subsample_and_widen(x, block)

    keeps_shape = block.strides == 1
    x = add_residual(
        x, branch, None if keeps_shape else shortcut, block, techniques
    )
    return techniques.activate(x, f"{name}_relu2")


def _subsample_and_widen(x: Any, block: Block) -> Any:
    """Every second row and column, and channels of zeros behind the others.

    In layers of Keras alone, so that a saved model asks for nothing else.
    """
    from keras import layers

    x = layers.AveragePooling2D(
        1, block.strides, name=f"{block.name}_subsample"
    )(x)
    missing = block.filters - x.shape[-1]
    # Read as channels first, the last two axes are height and width: those of
    # (batch, height, width, channels) are width and channels.
    return layers.ZeroPadding2D(
        ((0, 0), (0, missing)),
        data_format="channels_first",
        name=f"{block.name}_pad_channels",
    )(x)


def _spec(depth: int, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=f"resnet{depth}_cifar",
        build=build,
        kwargs={"depth": depth},
        input_size=32,
        levels=LEVELS[:2],
        parameters=parameters,
        preprocessing=CIFAR10,
        lacks=LACKS,
        num_classes=10,
        reference="He et al. 2016, section 4.2, option A",
    )


SPECS = (
    _spec(20, 269_722),
    _spec(32, 464_154),
    _spec(44, 658_586),
    _spec(56, 853_018),
    _spec(110, 1_727_962),
    _spec(1202, 19_421_274),
)
