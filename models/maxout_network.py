"""The network of the paper on maxout: three convolutions and a dense layer.

Each is followed by the maximum over groups of its channels, its pieces: two
for a convolution, five for the dense layer. Convolutions read a rim of zeros
and are followed by max pooling with overlapping windows.

Two things are not the authors'. Weights are drawn for the scale of their input,
not from [-0.005, 0.005], which starts only with the authors' whitened images
and rates for each layer. And poolings pad, so that 33, 16 and 10 positions
become 17, 8 and 5; theirs give 16, 7 and 5.

Reference: Goodfellow et al., "Maxout Networks", 2013, section 5.2; figures as
in its authors' code for CIFAR-10.
"""

from collections.abc import Sequence
from typing import Any

from dropzoo.models.heads import classifier
from dropzoo.models.spec import CIFAR10, LEVELS, ModelSpec, Preprocessing
from dropzoo.models.techniques import Techniques, check_rate

PIECES, DENSE_PIECES = 2, 5
# Side of the kernel, rim of zeros, window of the pooling, largest norm.
CONVOLUTIONS = ((8, 4, 4, 0.9), (8, 3, 4, 1.9365), (5, 3, 2, 1.9365))
DENSE_NORM = 1.9
# The mean square of the largest of 32 normal numbers, two pieces at 4x4
# positions, is 4.5: first weights of a variance of 1 / (4.5 fan-in) keep that
# of the maps, where those for a ReLU would raise it ninefold in each layer.
SCALE = 0.22
LACKS = {
    "stochastic_depth": "it has no residual branch",
    "activation": "its activation is the largest of several pieces",
}


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    filters: Sequence[int] = (96, 192, 192),
    units: int = 500,
    input_dropout: float = 0.2,
    dropout: float = 0.5,
) -> Any:
    """Builds the network.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the dense layer's units.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw pixels, or `None`.
        techniques: What to vary.
        filters: Channels after each of three convolutions, which compute
            twice as many.
        units: Of the dense layer, which computes five times as many.
        input_dropout: Rate in [0, 1) on the pixels.
        dropout: Rate in [0, 1) on the input of every other layer.

    Returns: A functional `keras.Model`.

    Raises: ValueError when a rate is outside [0, 1).
    """
    import keras

    from dropzoo.layers import Maxout
    from dropzoo.models.preprocessing import normalization

    check_rate("input_dropout", input_dropout)
    check_rate("dropout", dropout)
    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    for number, count in enumerate(filters, start=1):
        rate = input_dropout if number == 1 else dropout
        x = techniques.dropout(x, f"dropout{number}", rate)
        x = maxout_convolution(x, count, number, techniques)
    x = keras.layers.Flatten(name="flatten")(x)
    x = techniques.dropout(x, f"dropout{len(filters) + 1}", dropout)
    x = techniques.dense(
        x,
        units * DENSE_PIECES,
        "dense1",
        kernel_initializer=keras.initializers.VarianceScaling(SCALE),
        kernel_constraint=keras.constraints.MaxNorm(DENSE_NORM),
    )
    x = Maxout(DENSE_PIECES, name="dense1_maxout")(x)
    logits = classifier(x, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


def maxout_convolution(
    x: Any, filters: int, number: int, techniques: Techniques
) -> Any:
    """A convolution, the maximum over its pieces, and a pooling.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        filters: Channels of the result.
        number: Which convolution it is, from 1.
        techniques: What to vary.
    """
    import keras

    from dropzoo.layers import Maxout

    side, rim, window, norm = CONVOLUTIONS[number - 1]
    conv = f"conv{number}"
    x = keras.layers.ZeroPadding2D(rim, name=f"{conv}_pad")(x)
    x = keras.layers.Conv2D(
        filters * PIECES,
        side,
        kernel_initializer=keras.initializers.VarianceScaling(SCALE),
        kernel_constraint=keras.constraints.MaxNorm(norm, axis=[0, 1, 2]),
        name=conv,
    )(x)
    x = Maxout(PIECES, name=f"{conv}_maxout")(x)
    if number == len(CONVOLUTIONS):  # a map of 10x10
        x = techniques.drop_blocks(x, f"{conv}_drop_block", size=3)
    return techniques.pool(
        x, f"pool{number}", size=window, strides=2, padding="same"
    )


SPECS = (
    ModelSpec(
        name="maxout_cifar",
        build=build,
        input_size=32,
        levels=LEVELS[:3],
        smallest_size=8,
        num_classes=10,
        # Our count: 37,056 + 2,359,680 + 1,843,584 + 12,002,500 + 5,010.
        parameters=16_247_830,
        preprocessing=CIFAR10,
        lacks=LACKS,
        reference="Goodfellow et al. 2013, section 5.2",
    ),
)
