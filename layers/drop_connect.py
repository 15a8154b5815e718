"""DropConnect around any layer that has a kernel."""

from typing import Literal

import keras
from keras import ops

from ._arguments import check_choice, check_rate
from .connection_masks import draw_mask


@keras.saving.register_keras_serializable(package="dropzoo")
class DropConnect(keras.layers.Wrapper):
    """Drops weights of another layer's kernel in training.

    The wrapped layer is called with `M * W` in place of its kernel `W`, one
    mask `M` for the whole batch; its other weights, its bias among them, are as
    they are. It may be any layer with a variable called `kernel`: dense,
    convolutional, depthwise, one of your own; also a layer with state, such as
    moving statistics, which moves as it would without the wrapper. The weights
    stay the wrapped layer's.

    Training: the elements of `M` come from Bernoulli(1 - rate), or, with
    `masks="gaussian"`, from the normal distribution of the same mean and
    variance. A pre-activation then is exactly normal, with the mean and
    variance that `M` would give it.

    Inference: with `scale="training"`, which divides `M` by `1 - rate`, the
    layer itself. With `scale="inference"`, the paper's way, the kernel is
    multiplied by `1 - rate` at inference instead.

    For masks of their own for each example, use `DropConnectDense` or
    `DropConnectConv2D`.

    Args:
        layer: A layer with a variable `kernel`. It may be built already.
        rate: Float in [0, 1). Probability of dropping a weight.
        masks: `"batch"` or `"gaussian"`.
        scale: `"training"` or `"inference"`: where the rate is made up for.
        seed: Integer or `None`.

    Input shape: that of the layer.

    Output shape: that of the layer.

    Raises: TypeError when `layer` is no layer; ValueError when it has no
        kernel, `rate` is outside [0, 1), or `masks` or `scale` is unknown.

    Example:
        >>> import numpy as np
        >>> layer = DropConnect(keras.layers.Conv1D(4, 3), rate=0.2, seed=1)
        >>> layer(np.ones((2, 8, 3), "float32"), training=True).shape
        TensorShape([2, 6, 4])

    Reference: Wan et al., "Regularization of Neural Networks using
        DropConnect", 2013, section 3, with one mask for each batch.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        rate: float = 0.5,
        *,
        masks: Literal["batch", "gaussian"] = "batch",
        scale: Literal["training", "inference"] = "training",
        seed: int | None = None,
        **kwargs,
    ):
        if not isinstance(layer, keras.layers.Layer):
            raise TypeError(
                "DropConnect: `layer` must be a Keras layer. "
                f"Received: layer={layer!r}"
            )
        # Variables are read outside of the layer's own call: in its type.
        kwargs.setdefault("dtype", layer.dtype_policy)
        super().__init__(layer, **kwargs)
        check_rate(self, rate)
        check_choice(self, "masks", masks, "batch", "gaussian")
        check_choice(self, "scale", scale, "training", "inference")
        self.rate = rate
        self.masks = masks
        self.scale = scale
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = layer.supports_masking

    def build(self, input_shape=None):
        super().build(input_shape)
        self._find_kernel()

    def call(self, inputs, training=False):
        kernel = self._find_kernel()
        if self.rate == 0 or not training and self.scale == "training":
            return self.layer(inputs)
        factor = self._draw(kernel) if training else 1 - self.rate
        return self._call_with(kernel, kernel * factor, inputs)

    def _draw(self, kernel):
        """What each weight is multiplied by: a mask, scaled."""
        keep = 1 - self.rate
        scale = 1 / keep if self.scale == "training" else 1
        if self.masks == "batch":
            kept = draw_mask(kernel.shape, self.rate, self.seed_generator)
            return ops.cast(kept, kernel.dtype) * scale
        factor = keras.random.normal(
            kernel.shape,
            mean=scale * keep,
            stddev=scale * (keep * self.rate) ** 0.5,
            dtype="float32",
            seed=self.seed_generator,
        )
        return ops.cast(factor, kernel.dtype)

    def _call_with(self, kernel, value, inputs):
        """Calls the layer with another kernel and keeps what else it moves.

        The scope holds all variables, so that they are read as they are in a
        scope around this one; what the layer assigns stays in the scope and is
        assigned again outside.
        """
        variables = self.layer.variables
        values = [value if v is kernel else v.value for v in variables]
        with keras.StatelessScope(
            list(zip(variables, values, strict=True)), collect_losses=True
        ) as scope:
            before = [scope.get_current_value(v) for v in variables]
            outputs = self.layer(inputs)
            after = [scope.get_current_value(v) for v in variables]
        for variable, old, new in zip(variables, before, after, strict=True):
            if new is not old and variable is not kernel:
                variable.assign(new)
        for loss in scope.losses:
            self.layer.add_loss(loss)
        return outputs

    def _find_kernel(self):
        kernel = getattr(self.layer, "kernel", None)
        if not any(kernel is variable for variable in self.layer.variables):
            raise ValueError(
                "DropConnect: `layer` must have a variable called `kernel`. "
                f"Received: layer={self.layer!r}; wrap a dense or "
                "convolutional layer, or one of your own with such a weight"
            )
        return kernel

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def compute_output_spec(self, inputs, training=False):
        return self.layer.compute_output_spec(inputs)

    def get_config(self):
        config = super().get_config()
        # What the layer was built with is for the wrapper to tell, once.
        config["layer"].pop("build_config", None)
        return {
            **config,
            "rate": self.rate,
            "masks": self.masks,
            "scale": self.scale,
            "seed": self.seed,
        }
