"""Looks at the activations inside a model, without disturbing it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from dropzoo.models.layer_places import layer_places

# Values in a sample of a layer: a prime, for even steps through the values
# not to meet the same channel each time.
SAMPLE = 2003
OTHERS = ("linear", "softmax", "log_softmax")  # no hidden unit has these


class ActivationProbe(keras.Model):
    """Runs a batch through a model and measures every layer's activations.

    For each layer that applies an activation function, by the layer's
    address:

    - `sample`: 2003 of its values, evenly spread, or repeated;
    - `dead`, for a ReLU: the share of units that are 0 on the whole batch, a
      unit being a channel;
    - `saturated`, for a sigmoid or tanh: the share of values where the
      derivative is below a tenth of its largest.

    Args:
        model: The model to look into; it is run as at inference.
    """

    def __init__(self, model: keras.Model):
        super().__init__(dtype=model.dtype_policy, name="activation_probe")
        self.inner = model
        self.built = True

    @property
    def layers_with_activation(self) -> dict[str, keras.layers.Layer]:
        """The layers that are measured, by their addresses."""
        return {
            place.address: place.operation
            for place in layer_places(self.inner)
            if place.is_leaf and _activation_name(place.operation)
        }

    def call(self, inputs: Any) -> dict[str, dict[str, Any]]:
        layers = self.layers_with_activation
        with _noted(layers) as outputs:
            self.inner(inputs, training=False)
        return {
            name: _measured(layers[name], output)
            for name, output in outputs.items()
        }

    def measure(self, inputs: Any) -> dict[str, dict[str, np.ndarray]]:
        """Measures, and puts back the state that layers move at inference.

        Args:
            inputs: A batch, as the model takes it.
        """
        variables = self.inner.non_trainable_variables
        values = [np.array(ops.convert_to_numpy(v)) for v in variables]
        found = self.predict_on_batch(inputs)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return found


def _activation_name(layer: Any) -> str:
    """The name of a layer's activation function, or nothing."""
    kinds = keras.layers
    if isinstance(layer, kinds.RNN) or not isinstance(layer, kinds.Layer):
        return ""
    if isinstance(layer, kinds.ReLU):
        leaks = layer.negative_slope or layer.threshold
        return "leaky_relu" if leaks else "relu"
    if isinstance(layer, kinds.LeakyReLU | kinds.PReLU | kinds.ELU):
        return type(layer).__name__.lower()
    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    return "" if name in OTHERS else name


@contextlib.contextmanager
def _noted(layers: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Notes what each layer's first call gives."""
    outputs: dict[str, Any] = {}

    def noted(name, call):
        def note(*args, **kwargs):
            output = call(*args, **kwargs)
            outputs.setdefault(name, output)
            return output

        return note

    for name, layer in layers.items():
        layer.call = noted(name, layer.call)
    try:
        yield outputs
    finally:
        for layer in layers.values():
            del layer.call


def _measured(layer: Any, output: Any) -> dict[str, Any]:
    x = ops.cast(output, "float32")  # (batch, ..., channels)
    found = {"sample": _sample(x)}
    name = _activation_name(layer)
    if name in ("relu", "relu6"):
        first = getattr(layer, "data_format", "") == "channels_first"
        channels = 1 if first else len(x.shape) - 1
        others = [axis for axis in range(len(x.shape)) if axis != channels]
        found["dead"] = _share(ops.all(ops.equal(x, 0), axis=others))
    if name in ("sigmoid", "tanh"):
        slope = 1 - x * x if name == "tanh" else 4 * x * (1 - x)
        found["saturated"] = _share(slope < 0.1)
    return found


def _share(flags: Any) -> Any:
    return ops.mean(ops.cast(flags, "float32"))


def _sample(x: Any) -> Any:
    """Values in even steps from the first on to the last."""
    values = ops.reshape(x, (-1,))
    size = ops.shape(values)[0]
    steps = ops.arange(SAMPLE, dtype="float32") / SAMPLE
    places = ops.cast(steps * ops.cast(size, "float32"), "int32")
    return ops.take(values, ops.minimum(places, size - 1))
