"""Says what keeps a model from being loaded with Keras alone."""

import keras

from dropzoo import layers

MEAN = "it is a weighted mean at inference, which no layer of Keras computes"
UNEVEN = "its regions are of uneven size, and Keras pools even ones"
PIECES = "it is a maximum over groups of channels, as no layer of Keras is"
REASONS: dict[type, str] = {
    layers.StochasticPooling1D: MEAN,
    layers.StochasticPooling2D: MEAN,
    layers.StochasticPooling3D: MEAN,
    layers.FractionalMaxPooling1D: UNEVEN,
    layers.FractionalMaxPooling2D: UNEVEN,
    layers.FractionalMaxPooling3D: UNEVEN,
    layers.FractionalAveragePooling2D: UNEVEN,
    layers.Maxout: PIECES,
}
GAUSSIAN = "it averages its activation over random connections at inference"
OTHERWISE = "its class is not Keras's own"


def why_not_portable(model: keras.Model) -> dict[str, str]:
    """The layers of this package in a model, each with why it has to stay.

    A saved model with such layers loads where `dropzoo.layers` was imported.
    `strip_training_layers` takes out all that need not stay.

    Args:
        model: Any model; one that was stripped, as a rule.

    Returns: Reasons by the name of the layer, to stand after "because". Empty
        where Keras alone loads the model, but for classes of the user's own.
    """
    return {
        layer.name: _reason(layer)
        for layer in model._flatten_layers(include_self=False)
        if type(layer).__module__.split(".")[0] == "dropzoo"
    }


def _reason(layer: keras.Layer) -> str:
    if getattr(layer, "inference", None) == "gaussian":
        return GAUSSIAN
    return REASONS.get(type(layer), OTHERWISE)
