"""AlexNet on one processor, as torchvision builds it.

Five convolutions and three dense layers, without the response normalization
and the two towers of the 2012 paper.

Reference: Krizhevsky, "One weird trick for parallelizing convolutional neural
networks", 2014, section 5.
"""

from typing import Any

from dropzoo.models.plain_layers import (
    LACKS,
    classifier_after_hidden,
    convolution,
    hidden_dense,
)
from dropzoo.models.spec import IMAGENET, LEVELS, ModelSpec, Preprocessing
from dropzoo.models.techniques import Techniques

LAST_CONVOLUTIONS = ((3, 384), (4, 256), (5, 256))  # number, filters
SOURCE_NAMES = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "dense1": "classifier.1",
    "dense2": "classifier.4",
    "logits": "classifier.6",
}


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    units: int = 4096,
    dropout: float = 0.5,
) -> Any:
    """Builds an AlexNet.

    torchvision averages the last map to 6x6 whatever the input; here the first
    dense layer is built for the map that comes, 6x6 at 224 pixels, so that
    larger maps, such as fractional pooling leaves, make it larger.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the last hidden layer.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary.
        units: Of both hidden dense layers.
        dropout: Rate in [0, 1) before each hidden dense layer.

    Returns: A functional `keras.Model`.

    Raises: ValueError when `dropout` is outside its range.
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    x = _convolutions(x, techniques)
    x = keras.layers.Flatten(name="flatten")(x)
    for number in (1, 2):
        x = techniques.dropout(x, f"dropout{number}", dropout)
        x = hidden_dense(x, units, f"dense{number}", techniques)
    logits = classifier_after_hidden(x, num_classes, 0.0, techniques)
    return keras.Model(images, logits, name=name)


def _convolutions(x: Any, techniques: Techniques) -> Any:
    from keras import layers

    x = layers.ZeroPadding2D(2, name="conv1_pad")(x)
    x = convolution(x, 64, 11, "conv1", techniques, strides=4)
    x = techniques.pool(x, "pool1", size=3, strides=2)
    x = convolution(x, 192, 5, "conv2", techniques, padding="same")
    x = techniques.pool(x, "pool2", size=3, strides=2)
    for number, filters in LAST_CONVOLUTIONS:
        conv = f"conv{number}"
        x = convolution(x, filters, 3, conv, techniques, padding="same")
        x = techniques.drop_blocks(x, f"{conv}_drop_block")
    return techniques.pool(x, "pool5", size=3, strides=2)


SPECS = (
    ModelSpec(
        name="alexnet",
        build=build,
        input_size=224,
        levels=LEVELS[1:5],
        smallest_size=63,
        parameters=61_100_840,
        preprocessing=IMAGENET,
        source_names=SOURCE_NAMES.__getitem__,
        flattened={"dense1": LAST_CONVOLUTIONS[-1][1]},
        lacks=LACKS,
        reference="Krizhevsky 2014, as in torchvision",
    ),
)
