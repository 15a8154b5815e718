"""Network in Network for CIFAR: small multilayer perceptrons that slide.

Convolutions of 1x1 after each larger one mix the channels at every position;
the last maps are averaged, so that nearly no weights are in dense layers.

Reference: Lin et al., "Network In Network", 2013, section 3; widths and
poolings are those of the authors' network for CIFAR-10.
"""

from typing import Any

from dropzoo.models.heads import classifier
from dropzoo.models.plain_layers import LACKS, convolution
from dropzoo.models.spec import CIFAR10, LEVELS, ModelSpec, Preprocessing
from dropzoo.models.techniques import Pooling, Techniques

# kernel size, filters, filters of the 1x1 convolutions after it
BLOCKS = (
    (5, 192, (160, 96)),
    (5, 192, (192, 192)),
    (3, 192, (192,)),
)
POOLINGS: tuple[Pooling, ...] = ("max", "average")  # after the first two


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    dropout: float = 0.5,
) -> Any:
    """Builds a Network in Network.

    The paper's last 1x1 convolution makes a map for each class, of which the
    averages are the logits. Averaging first and applying the same weights
    after gives the same, and is a head like that of every other network; only
    the ReLU that the authors have between the two is left out, below which
    logits could not fall.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the averaged features.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary.
        dropout: Rate in [0, 1) after each pooling.

    Returns: A functional `keras.Model`.

    Raises: ValueError when `dropout` is outside its range.
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    for number in range(1, len(BLOCKS) + 1):
        x = _block(x, number, techniques)
        if number <= len(POOLINGS):
            x = techniques.pool(
                x,
                f"pool{number}",
                own=POOLINGS[number - 1],
                size=3,
                strides=2,
                padding="same",
            )
            x = techniques.dropout(x, f"dropout{number}", dropout)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = classifier(x, num_classes, 0.0, techniques)
    return keras.Model(images, logits, name=name)


def _block(x: Any, number: int, techniques: Techniques) -> Any:
    kernel_size, filters, widths = BLOCKS[number - 1]
    conv = f"conv{number}"
    x = convolution(x, filters, kernel_size, conv, techniques, padding="same")
    if number > 1:  # maps of 16x16 and 8x8
        x = techniques.drop_blocks(x, f"{conv}_drop_block", size=3)
    for index, width in enumerate(widths, start=1):
        x = convolution(x, width, 1, f"{conv}_mlp{index}", techniques)
    return x


SPECS = (
    ModelSpec(
        name="nin_cifar",
        build=build,
        input_size=32,
        levels=LEVELS[:2],
        smallest_size=3,
        num_classes=10,
        parameters=966_986,
        preprocessing=CIFAR10,
        lacks=LACKS,
        reference="Lin et al. 2013",
    ),
)
