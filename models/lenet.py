"""Two small networks for digits: LeNet-5 and the one of the course notes.

Convolutions of 5x5 without padding, each followed by a pooling of 2x2, then
dense layers.

Reference: LeCun et al., "Gradient-Based Learning Applied to Document
Recognition", 1998, section II.B.
"""

from collections.abc import Sequence
from typing import Any

from dropzoo.models.heads import classifier
from dropzoo.models.plain_layers import (
    LACKS,
    classifier_after_hidden,
    hidden_dense,
)
from dropzoo.models.spec import LEVELS, MNIST, ModelSpec, Preprocessing
from dropzoo.models.techniques import Pooling, Techniques


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    filters: Sequence[int],
    units: Sequence[int],
    own_pooling: Pooling,
    own_activation: str,
) -> Any:
    """Builds one of the two networks.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the last hidden layer, or in
            the flattened map where there is none.
        input_shape: `(height, width, channels)`.
        preprocessing: Normalisation of raw pixels, or `None`.
        techniques: What to vary. Stochastic pooling draws from positive
            activations only: give it `activation="relu"` in LeNet-5.
        filters: Of each convolution.
        units: Of each hidden dense layer.
        own_pooling: Where `techniques` does not say another.
        own_activation: Where `techniques` does not say another.

    Returns: A functional `keras.Model`.
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    for number, count in enumerate(filters, start=1):
        conv = f"conv{number}"
        x = keras.layers.Conv2D(count, 5, name=conv)(x)
        x = techniques.activate(x, f"{conv}_{own_activation}", own_activation)
        if number == len(filters):
            x = techniques.drop_blocks(x, f"{conv}_drop_block", size=3)
        x = techniques.pool(x, f"pool{number}", own=own_pooling)
    x = keras.layers.Flatten(name="flatten")(x)
    for number, count in enumerate(units, start=1):
        dense = f"dense{number}"
        x = hidden_dense(x, count, dense, techniques, own_activation)
    end = classifier_after_hidden if units else classifier
    logits = end(x, num_classes, 0.0, techniques)
    return keras.Model(images, logits, name=name)


SPECS = (
    ModelSpec(
        name="notes_cnn",
        build=build,
        kwargs={
            "filters": (10, 20),
            "units": (),
            "own_pooling": "max",
            "own_activation": "relu",
        },
        input_size=28,
        levels=LEVELS[:3],
        channels=1,
        smallest_size=16,
        num_classes=10,
        parameters=8_490,
        preprocessing=MNIST,
        lacks=LACKS,
        reference="a network of course notes, after LeCun et al. 1998",
    ),
    # Today's LeNet-5: every filter of the second convolution sees all six maps
    # (the paper's table I leaves some out), pooling has no weights, and a dense
    # layer gives the logits. Digits of 28x28 stand in the middle of 32x32.
    ModelSpec(
        name="lenet5",
        build=build,
        kwargs={
            "filters": (6, 16),
            "units": (120, 84),
            "own_pooling": "average",
            "own_activation": "tanh",
        },
        input_size=32,
        levels=LEVELS[:3],
        channels=1,
        smallest_size=16,
        num_classes=10,
        parameters=61_706,
        preprocessing=MNIST,
        lacks=LACKS,
        reference="LeCun et al. 1998",
    ),
)
