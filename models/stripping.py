"""Takes out of a network what only its training needs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def strip_training_layers(model: "keras.Model") -> "keras.Model":
    """A model of Keras's own layers that computes the same at inference.

    `StochasticDepth` is left out where it is the identity at inference, and
    becomes a `Rescaling` where it is not, so that a saved model loads without
    this package.

    Args:
        model: A functional model.

    Returns: The model itself where it has no such layer; else an independent
        copy with equal weights.
    """
    import keras

    from dropzoo.layers import StochasticDepth

    if not any(isinstance(layer, StochasticDepth) for layer in model.layers):
        return model

    def call(layer, *args, **kwargs):
        if not isinstance(layer, StochasticDepth):
            return layer(*args, **kwargs)
        if layer.scale == "training":
            return args[0]
        scale = keras.layers.Rescaling(1 - layer.rate, name=layer.name)
        return scale(args[0])

    copy = keras.models.clone_model(model, call_function=call)
    for layer in copy.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return copy
