"""GoogLeNet: nine modules that look at several scales side by side.

As in the paper: branches of 5x5, biases, local response normalization, no
batch normalization. The two auxiliary classifiers, which only training used,
are left out.

Reference: Szegedy et al., "Going Deeper with Convolutions", 2014, table 1.
"""

from typing import Any

from dropzoo.models.heads import classifier
from dropzoo.models.plain_layers import LACKS, convolution
from dropzoo.models.spec import IMAGENET, ModelSpec, Preprocessing
from dropzoo.models.techniques import Techniques

# Filters of the branches of each module: 1x1; before the 3x3 and of it; before
# the 5x5 and of it; after the pooling.
STAGES = {
    3: {
        "a": (64, (96, 128), (16, 32), 32),
        "b": (128, (128, 192), (32, 96), 64),
    },
    4: {
        "a": (192, (96, 208), (16, 48), 64),
        "b": (160, (112, 224), (24, 64), 64),
        "c": (128, (128, 256), (24, 64), 64),
        "d": (112, (144, 288), (32, 64), 64),
        "e": (256, (160, 320), (32, 128), 128),
    },
    5: {
        "a": (256, (160, 320), (32, 128), 128),
        "b": (384, (192, 384), (48, 128), 128),
    },
}
Widths = tuple[int, tuple[int, int], tuple[int, int], int]
FIRST_COARSE_STAGE = 4  # from here on 1/16 of the input and coarser
# At 224 pixels the same as the poolings of the authors' network, which round
# sizes up.
HALVING: dict[str, Any] = {"size": 3, "strides": 2, "padding": "same"}


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    dropout: float = 0.4,
) -> Any:
    """Builds a GoogLeNet.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the averaged features.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary. Fractional pooling replaces the poolings that
            shrink, not those inside the modules.
        dropout: Rate in [0, 1) before the classifier.

    Returns: A functional `keras.Model`.

    Raises: ValueError when `dropout` is outside its range.
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    x = _stem(x, techniques)
    for stage, modules in STAGES.items():
        x = techniques.pool(x, f"pool{stage - 1}", **HALVING)
        for letter, widths in modules.items():
            module = f"inception{stage}{letter}"
            x = _inception(x, widths, module, techniques)
            if stage >= FIRST_COARSE_STAGE:
                x = techniques.drop_blocks(x, f"{module}_drop_block")
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = classifier(x, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


def _stem(x: Any, techniques: Techniques) -> Any:
    from keras import layers

    from dropzoo.layers import LocalResponseNormalization

    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = convolution(x, 64, 7, "conv1", techniques, strides=2)
    x = techniques.pool(x, "pool1", **HALVING)
    x = LocalResponseNormalization(name="norm1")(x)
    x = convolution(x, 64, 1, "conv2_reduce", techniques)
    x = convolution(x, 192, 3, "conv2", techniques, padding="same")
    return LocalResponseNormalization(name="norm2")(x)


def _inception(
    x: Any, widths: Widths, name: str, techniques: Techniques
) -> Any:
    """Figure 2(b): 1x1, 3x3, 5x5 and a pooling, side by side."""
    from keras import layers

    def convolve(x, filters, size, part):
        part = f"{name}_{part}"
        return convolution(x, filters, size, part, techniques, padding="same")

    one, (before_three, three), (before_five, five), projection = widths
    small = convolve(x, before_three, 1, "3x3_reduce")
    large = convolve(x, before_five, 1, "5x5_reduce")
    pooled = techniques.pool(
        x, f"{name}_pool", size=3, strides=1, padding="same"
    )
    branches = [
        convolve(x, one, 1, "1x1"),
        convolve(small, three, 3, "3x3"),
        convolve(large, five, 5, "5x5"),
        convolve(pooled, projection, 1, "pool_projection"),
    ]
    return layers.Concatenate(name=name)(branches)


SPECS = (
    ModelSpec(
        name="googlenet",
        build=build,
        input_size=224,
        smallest_size=15,
        parameters=6_998_552,
        preprocessing=IMAGENET,
        lacks=LACKS,
        reference="Szegedy et al. 2014",
    ),
)
