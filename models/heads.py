"""Classification heads: what turns pooled features into logits."""

from typing import TYPE_CHECKING, Any

from dropzoo.models.techniques import Techniques, check_rate

HEAD = "logits"  # name of the dense layer that ends in logits
HEAD_VARIABLES = (f"{HEAD}/kernel", f"{HEAD}/bias")

if TYPE_CHECKING:
    import keras
    import numpy as np


def classifier(
    features: Any, num_classes: int, dropout: float, techniques: Techniques
) -> Any:
    """Dropout and a dense layer on pooled features; nothing for 0 classes.

    Args:
        features: Symbolic tensor `(batch, channels)`.
        num_classes: Number of logits.
        dropout: Rate in [0, 1).
        techniques: Its `dropconnect` and its seed are used.

    Returns: Logits `(batch, num_classes)`, or the features themselves.

    Raises: ValueError when `dropout` is outside its range.
    """
    check_rate("dropout", dropout)
    if not num_classes:
        return features
    x = techniques.dropout(features, "dropout", dropout)
    return techniques.dense(x, num_classes, HEAD, dtype="float32")


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
    expected = tuple(head.kernel.shape), tuple(head.bias.shape)
    if (kernel.shape, bias.shape) != expected:
        raise ValueError(
            "set_head: `kernel` and `bias` must have the shapes of the head, "
            f"{expected[0]} and {expected[1]}. "
            f"Received: {kernel.shape} and {bias.shape}"
        )
    head.set_weights([kernel, bias])
