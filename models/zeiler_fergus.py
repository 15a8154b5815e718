"""The network of the paper on stochastic pooling: three convolutions.

Each of 64 filters of 5x5, a stochastic pooling over overlapping regions of
3x3, and local response normalization; then one dense layer.

Reference: Zeiler and Fergus, "Stochastic Pooling for Regularization of Deep
Convolutional Neural Networks", 2013, section 4.
"""

from typing import Any

from dropzoo.models.heads import classifier
from dropzoo.models.plain_layers import LACKS, convolution
from dropzoo.models.spec import CIFAR10, LEVELS, ModelSpec, Preprocessing
from dropzoo.models.techniques import Techniques

CONVOLUTIONS = (1, 2, 3)


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    filters: int = 64,
) -> Any:
    """Builds the network.

    Maps are padded, so that 32 pixels become 16, 8 and 4, and the constants
    of the normalization are the defaults of `LocalResponseNormalization`.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the flattened map.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw pixels, or `None`.
        techniques: What to vary; `pooling="max"` and `"average"` are what the
            paper compares with.
        filters: Of each convolution.

    Returns: A functional `keras.Model`.
    """
    import keras

    from dropzoo.layers import LocalResponseNormalization
    from dropzoo.models.preprocessing import normalization

    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    for number in CONVOLUTIONS:
        conv = f"conv{number}"
        x = convolution(x, filters, 5, conv, techniques, padding="same")
        if number == CONVOLUTIONS[-1]:  # a map of 8x8
            x = techniques.drop_blocks(x, f"{conv}_drop_block", size=3)
        x = techniques.pool(
            x,
            f"pool{number}",
            own="stochastic",
            size=3,
            strides=2,
            padding="same",
        )
        x = LocalResponseNormalization(name=f"norm{number}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    logits = classifier(x, num_classes, 0.0, techniques)
    return keras.Model(images, logits, name=name)


SPECS = (
    ModelSpec(
        name="stochastic_pooling_cnn",
        build=build,
        input_size=32,
        levels=LEVELS[:3],
        smallest_size=5,
        num_classes=10,
        # Our count: 4,864 + 2 x 102,464 + 10,250.
        parameters=220_042,
        preprocessing=CIFAR10,
        lacks=LACKS,
        reference="Zeiler and Fergus 2013",
    ),
)
