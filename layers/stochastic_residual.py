"""Stochastic depth that does not compute the branches it drops."""

from collections.abc import Callable
from typing import Literal

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dropzoo")
class StochasticResidual(keras.layers.Layer):
    """Adds a branch to a shortcut and, at random, leaves the branch out.

    `y = activation(shortcut(x) + b branch(x))`. In training one gate `b` is
    drawn from Bernoulli(1 - rate) for each mini-batch. Where it is 0 the
    branch is not computed, neither forwards nor backwards, which is the time
    that stochastic depth saves. Its weights then get a gradient of zero, and
    the statistics and random streams in it stay as they are, to the bit.

    With `scale="training"` a branch that is kept is divided by `1 - rate`, so
    that inference is the plain residual block. With `scale="inference"`, the
    paper's way, training leaves it as it is and inference multiplies it by
    `1 - rate`.

    What the branch adds to the loss (`add_loss`, activity regularizers) counts
    where it is computed; weight regularizers always count.

    Args:
        branch: Keras layer or model. A layer in it that draws random numbers
            must own a `SeedGenerator`, as Keras's own do.
        shortcut: Keras layer or model, needed where the branch changes the
            shape. `None`, the default, is the identity.
        rate: Float in [0, 1). Probability of leaving the branch out.
        scale: `"training"` or `"inference"`: where the rate is made up for.
        activation: Name or function, applied to the sum. `None`, the default,
            is none; the paper has `"relu"`.
        seed: Integer or `None`. Blocks of one network need different seeds:
            with equal ones all would be left out together.

    Input shape: `(batch, ...)`, as the branch takes it.

    Output shape: that of the shortcut.

    Raises: TypeError when `branch` or `shortcut` is no Keras layer. ValueError
        when `rate` is outside [0, 1), `scale` is unknown, or, once built,
        branch and shortcut differ in shape.

    Example:
        >>> import numpy as np
        >>> branch = keras.Sequential(
        ...     [
        ...         keras.layers.Conv2D(8, 3, padding="same"),
        ...         keras.layers.BatchNormalization(),
        ...     ]
        ... )
        >>> block = StochasticResidual(branch, rate=0.5, activation="relu")
        >>> block(np.ones((2, 4, 4, 8), "float32"), training=True).shape
        TensorShape([2, 4, 4, 8])

    Reference: Huang et al., "Deep Networks with Stochastic Depth", 2016,
        section 3, equations 2 and 5.
    """

    def __init__(
        self,
        branch: keras.layers.Layer,
        shortcut: keras.layers.Layer | None = None,
        *,
        rate: float,
        scale: Literal["training", "inference"] = "training",
        activation: str | Callable | None = None,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(branch, keras.layers.Layer):
            raise TypeError(
                "StochasticResidual: `branch` must be a Keras layer or model. "
                f"Received: branch={branch!r}"
            )
        if not isinstance(shortcut, keras.layers.Layer | None):
            raise TypeError(
                "StochasticResidual: `shortcut` must be a Keras layer or "
                f"model, or None. Received: shortcut={shortcut!r}"
            )
        if not 0 <= rate < 1:
            raise ValueError(
                "StochasticResidual: `rate` must be in [0, 1). "
                f"Received: rate={rate!r}"
            )
        if scale not in ("training", "inference"):
            raise ValueError(
                "StochasticResidual: `scale` must be 'training' or "
                f"'inference'. Received: scale={scale!r}"
            )
        self.branch = branch
        self.shortcut = shortcut
        self.rate = rate
        self.scale = scale
        self.activation = activation
        self.activate = keras.activations.get(activation)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Branch and shortcut cast by their own policies. Keras must not round
        # the variables of the branch that `cond` hands on.
        self.autocast = False

    @property
    def variable_dtype(self):
        # No variable is the layer's own: see `autocast` above.
        return self.compute_dtype

    def build(self, input_shape):
        branch = self._build_part(self.branch, input_shape)
        shortcut = self._build_part(self.shortcut, input_shape)
        if len(branch) != len(shortcut) or any(
            None not in sizes and sizes[0] != sizes[1]
            for sizes in zip(branch, shortcut, strict=True)
        ):
            raise ValueError(
                "StochasticResidual: `shortcut` must give the shape that "
                "`branch` gives, and None only keeps that of the input. "
                f"Received: branch {branch}, shortcut {shortcut}"
            )

    def _build_part(self, part, input_shape):
        """Builds branch or shortcut, and returns the shape of its output."""
        if part is None:
            return tuple(input_shape)
        x = keras.KerasTensor(input_shape, dtype=self.compute_dtype)
        # A call builds layers without a `build` method too. What is built is
        # spared it: a second call would make its `output` ambiguous.
        return tuple(
            (part.compute_output_spec if part.built else part)(x).shape
        )

    def call(self, inputs, training=False):
        shortcut = inputs
        if self.shortcut is not None:
            shortcut = self.shortcut(inputs, training=training)
        shortcut = ops.cast(shortcut, self.compute_dtype)

        def add():
            branch = self.branch(inputs, training=training)
            branch = ops.cast(branch, self.compute_dtype)
            if self.scale == "training" and training:
                branch = branch / (1 - self.rate)
            if self.scale == "inference" and not training:
                branch = branch * (1 - self.rate)
            return shortcut + branch

        if training and self.rate > 0:
            return self.activate(self._add_or_skip(add, shortcut))
        return self.activate(add())

    def _add_or_skip(self, add, shortcut):
        """Draws the gate: `add()` where it is open, else the shortcut."""
        # In float32: bfloat16 has too few values for a fine rate.
        draw = keras.random.uniform(
            (), dtype="float32", seed=self.seed_generator
        )
        gate = draw < 1 - self.rate
        try:
            is_open = bool(gate)
        except TypeError:  # A graph does not know it yet.
            return self._choose_in_graph(gate, add, shortcut)
        return add() if is_open else shortcut + self._zero()

    def _choose_in_graph(self, gate, add, shortcut):
        """Chooses by `cond`, in which no variable may move.

        What the variables of the branch are to hold leaves it as a result,
        beside the sum and the losses, and is assigned outside.
        """
        state = [*self.branch.variables, *self.branch.metrics_variables]
        before = [ops.convert_to_tensor(variable) for variable in state]
        moved, found = [], []

        def compute():
            with keras.StatelessScope(
                list(zip(state, before, strict=True)), collect_losses=True
            ) as scope:
                start = [scope.get_current_value(v) for v in state]
                outputs = add()
                found.extend(ops.cast(x, "float32") for x in scope.losses)
                # Keras knows losses by an `id` that others may get later.
                self.branch._clear_losses()
            end = [scope.get_current_value(v) for v in state]
            moved.extend(i for i, old in enumerate(start) if end[i] is not old)
            return outputs, [end[i] for i in moved], list(found)

        def skip():  # Traced after `compute`, which has found what moves.
            zeros = [ops.zeros((), "float32") for _ in found]
            return shortcut, [before[i] for i in moved], zeros

        outputs, values, losses = ops.cond(gate, compute, skip)
        for i, value in zip(moved, values, strict=True):
            state[i].assign(value)
        for loss in losses:
            self.add_loss(loss)
        return outputs

    def _zero(self):
        """Returns 0 with a gradient of zero for the weights of the branch.

        A branch that was never called would leave them none, and optimizers
        warn of that.
        """
        empty = (
            ops.reshape(weight, (-1,))[:0]
            for weight in self.branch.trainable_variables
        )
        return sum(ops.cast(ops.sum(x), self.compute_dtype) for x in empty)

    def compute_output_shape(self, input_shape):
        return self._build_part(self.shortcut, input_shape)

    def compute_mask(self, inputs, mask=None):
        if self.shortcut is None:
            return mask
        return self.shortcut.compute_mask(inputs, mask)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "branch": serialize(self.branch),
            "shortcut": serialize(self.shortcut),
            "rate": self.rate,
            "scale": self.scale,
            "activation": serialize(self.activation),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        parts = {
            name: keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
            for name in ("branch", "shortcut", "activation")
        }
        return cls(**{**config, **parts})
