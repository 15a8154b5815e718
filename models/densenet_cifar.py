"""DenseNets for CIFAR: each layer reads the maps of all layers before it.

Three stages of equally many layers, each of which adds `growth` channels to
those that it reads, with a transition between stages that halves the map. In a
DenseNet-BC a 1x1 convolution to `4 growth` channels comes before each 3x3 one,
and a transition keeps half of the channels.

A transition pools before its 1x1 convolution, not after it as in the paper.
For the mean, which commutes with it, that is the same function at a quarter of
the cost; and the poolings that may take its place read activations, as they
are meant to.

Reference: Huang et al., "Densely Connected Convolutional Networks", 2017,
section 3.
"""

from dataclasses import dataclass
from typing import Any

from dropzoo.models.deep_graph import allow_deep_graph
from dropzoo.models.heads import classifier
from dropzoo.models.spec import CIFAR10, LEVELS, ModelSpec, Preprocessing
from dropzoo.models.techniques import Techniques, check_rate

NUM_STAGES = 3
SMALLEST_SIZE = 4  # halved twice
LACKS = {
    "stochastic_depth": "it has no residual branch: the maps of its layers "
    "are concatenated, not added"
}


@dataclass(frozen=True)
class DenseStyle:
    """What the layers of a DenseNet have in common.

    Args:
        growth: Channels that a layer adds.
        bc: Whether it is a DenseNet-BC: with bottlenecks, and compressed.
        dropout: Rate in [0, 1) behind each convolution of a stage.
        techniques: What to vary.
    """

    growth: int
    bc: bool
    dropout: float
    techniques: Techniques


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    depth: int,
    growth: int = 12,
    bc: bool = False,
    block_dropout: float = 0.0,
    dropout: float = 0.0,
) -> Any:
    """Builds a DenseNet for small images.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the pooled features.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary.
        depth: Layers with weights: 3 n + 4 from 7, with `bc` 6 n + 4 from 10.
        growth: Channels that a layer adds, from 1.
        bc: Whether it is a DenseNet-BC: with bottlenecks, and compressed.
        block_dropout: Rate in [0, 1) behind each convolution of a stage. The
            authors take 0.2 where they train without augmentation.
        dropout: Rate in [0, 1) before the classifier.

    Returns: A functional `keras.Model`.

    Raises: ValueError when `depth` or `growth` is no such number, or a rate is
        outside [0, 1).
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    num_layers = _layers_of_a_stage(depth, growth, bc)
    check_rate("block_dropout", block_dropout)
    style = DenseStyle(growth, bc, block_dropout, techniques)
    allow_deep_graph(5 * depth)  # at most five for each convolution
    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    x = _convolve(x, 2 * growth if bc else 16, 3, "stem_conv")
    for stage in range(1, NUM_STAGES + 1):
        if stage > 1:
            x = transition(x, f"stage{stage - 1}_transition", style)
        for number in range(1, num_layers + 1):
            x = dense_layer(x, f"stage{stage}_layer{number}", style, stage > 1)
    x = _activate(x, "head_bn", "head_relu", techniques)
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = classifier(features, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


def dense_layer(
    x: Any, name: str, style: DenseStyle, drops_blocks: bool
) -> Any:
    """Adds channels that are computed from all that are there.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        name: What its layers' names begin with.
        style: What the layers of the network have in common.
        drops_blocks: Whether squares of its new maps may be dropped.

    Returns: Symbolic tensor `(batch, height, width, channels + growth)`.
    """
    from keras import layers

    new, techniques = x, style.techniques
    convolutions = [(style.growth, 3)]  # filters, side of the kernel
    if style.bc:
        convolutions.insert(0, (4 * style.growth, 1))
    for number, (filters, side) in enumerate(convolutions, start=1):
        new = _activate(
            new, f"{name}_bn{number}", f"{name}_relu{number}", techniques
        )
        new = _convolve(new, filters, side, f"{name}_conv{number}")
        new = techniques.dropout(new, f"{name}_dropout{number}", style.dropout)
    if drops_blocks:
        new = techniques.drop_blocks(new, f"{name}_drop_block")
    return layers.Concatenate(name=f"{name}_concat")([x, new])


def transition(x: Any, name: str, style: DenseStyle) -> Any:
    """Halves the map and, in a DenseNet-BC, the channels.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        name: What its layers' names begin with.
        style: What the layers of the network have in common.
    """
    techniques = style.techniques
    channels = x.shape[-1] // 2 if style.bc else x.shape[-1]
    x = _activate(x, f"{name}_bn", f"{name}_relu", techniques)
    x = techniques.pool(x, f"{name}_pool", own="average")
    x = _convolve(x, channels, 1, f"{name}_conv")
    return techniques.dropout(x, f"{name}_dropout", style.dropout)


def _layers_of_a_stage(depth: int, growth: int, bc: bool) -> int:
    convolutions = 2 if bc else 1  # in a layer
    step = NUM_STAGES * convolutions
    if depth < 4 + step or (depth - 4) % step or growth < 1:
        raise ValueError(
            f"create_model: `depth` must be {step} n + 4 for a whole n from 1, "
            "and `growth` at least 1, such as 40 and 12. "
            f"Received: depth={depth!r}, growth={growth!r}"
        )
    return (depth - 4) // step


def _activate(x: Any, norm: str, name: str, techniques: Techniques) -> Any:
    from keras import layers

    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=norm)(x)
    return techniques.activate(x, name)


def _convolve(x: Any, filters: int, side: int, name: str) -> Any:
    from keras import layers

    return layers.Conv2D(
        filters,
        side,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _spec(name: str, parameters: int, **kwargs: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        build=build,
        kwargs=kwargs,
        input_size=32,
        levels=LEVELS[:2],
        smallest_size=SMALLEST_SIZE,
        parameters=parameters,
        preprocessing=CIFAR10,
        lacks=LACKS,
        num_classes=10,
        reference="Huang et al. 2017, table 2",
    )


SPECS = (
    _spec("densenet40", 1_019_722, depth=40, growth=12),
    _spec("densenet_bc40", 176_122, depth=40, growth=12, bc=True),
    _spec("densenet_bc100", 769_162, depth=100, growth=12, bc=True),
)
