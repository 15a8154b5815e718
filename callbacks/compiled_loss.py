"""What the loss of a compiled model asks for."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

LOSSES = {
    "sparse": (
        keras.losses.SparseCategoricalCrossentropy,
        keras.losses.sparse_categorical_crossentropy,
    ),
    "dense": (
        keras.losses.CategoricalCrossentropy,
        keras.losses.categorical_crossentropy,
    ),
    "binary": (
        keras.losses.BinaryCrossentropy,
        keras.losses.binary_crossentropy,
    ),
}


class CompiledLoss:
    """The loss of a compiled model, and what is known of its kind.

    Args:
        model: A compiled model with one output.
        num_outputs: Length of the output's last axis.
    """

    def __init__(self, model: keras.Model, num_outputs: int):
        self.model = model
        self.num_outputs = num_outputs
        loss = model.loss
        self.loss = keras.losses.get(loss) if isinstance(loss, str) else loss

    @property
    def kind(self) -> str | None:
        """`"sparse"`, `"dense"` or `"binary"` cross-entropy, or None."""
        for kind, (loss_class, function) in LOSSES.items():
            if isinstance(self.loss, loss_class) or self.loss is function:
                return kind
        return None

    @property
    def of_chance(self) -> float | None:
        """The loss of who knows nothing: ln C; None for other losses."""
        if self.kind is None:
            return None
        return math.log(2 if self.kind == "binary" else self.num_outputs)

    def of_batch(self, x: np.ndarray, y: np.ndarray, outputs: Any) -> float:
        """The loss of a batch without regularisation.

        Args:
            x: Inputs of the batch.
            y: Its targets.
            outputs: The model's outputs, just computed.
        """
        targets = ops.convert_to_tensor(y)
        loss = self.model.compute_loss(x, targets, outputs, training=False)
        return _number(loss) - sum(map(_number, self.model.losses))

    def penalty(self) -> float:
        """What the regularisers of the weights add to the loss now."""
        return sum(
            _number(variable.regularizer(variable))
            for variable in self.model.trainable_variables
            if variable.regularizer is not None
        )

    def doubled_activation(self) -> str | None:
        """A softmax or sigmoid that the loss applies again, in words."""
        last = self._last_activation()
        if not self._wants_logits or last not in ("softmax", "sigmoid"):
            return None
        return (
            f"the model ends with a {last} and the loss has from_logits=True, "
            "so that it may be applied twice"
        )

    def missing_activation(self) -> str | None:
        """Logits that the loss takes for probabilities, in words."""
        if self.kind is None or self._wants_logits:
            return None
        if self._last_activation() != "linear":
            return None
        return (
            "the model probably ends in logits, and then the loss needs "
            "from_logits=True"
        )

    @property
    def _wants_logits(self) -> bool:
        config: dict[str, Any] = getattr(self.loss, "get_config", dict)()
        return bool(config.get("from_logits", False))

    def _last_activation(self) -> str:
        last = self.model.layers[-1] if self.model.layers else None
        if isinstance(last, keras.layers.Softmax):
            return "softmax"
        activation = getattr(last, "activation", keras.activations.linear)
        return getattr(activation, "__name__", "unknown")


def _number(scalar: Any) -> float:
    return float(ops.convert_to_numpy(scalar))
