"""Classification heads: what turns pooled features into logits."""

from typing import TYPE_CHECKING, Any

from dropzoo.models.seeds import layer_seed

HEAD = "logits"  # name of the dense layer that ends in logits

if TYPE_CHECKING:
    import keras
    import numpy as np


def classifier(
    features, num_classes: int, dropout: float, seed: int | None = None
) -> Any:
    """Dropout and a dense layer on pooled features; nothing for 0 classes.

    Args:
        features: Symbolic tensor `(batch, channels)`.
        num_classes: Number of logits.
        dropout: Rate in [0, 1).
        seed: The model's seed.

    Returns: Logits `(batch, num_classes)`, or the features themselves.
    """
    from keras import layers

    if not num_classes:
        return features
    x = layers.Dropout(
        dropout, seed=layer_seed(seed, "dropout"), name="dropout"
    )(features)
    return layers.Dense(num_classes, name=HEAD, dtype="float32")(x)


def set_head(
    model: "keras.Model", kernel: "np.ndarray", bias: "np.ndarray"
) -> None:
    """Puts fitted weights into the last dense layer of a catalogue model.

    Args:
        model: A model with a dense layer named `logits`.
        kernel: `(channels, num_classes)`.
        bias: `(num_classes,)`.

    Raises: ValueError when the model has no such layer or the shapes differ.
    """
    head = next((x for x in model.layers if x.name == HEAD), None)
    if head is None:
        raise ValueError(
            f"set_head: `model` must have a dense layer named {HEAD!r}. "
            f"Received: {model.name!r}, whose last layer is "
            f"{model.layers[-1].name!r}"
        )
    if tuple(head.kernel.shape) != kernel.shape:
        raise ValueError(
            "set_head: `kernel` must have the shape of the head, "
            f"{tuple(head.kernel.shape)}. Received: {kernel.shape}"
        )
    head.set_weights([kernel, bias])
