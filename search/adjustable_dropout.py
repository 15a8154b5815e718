"""Dropout whose rate can change without compiling the model again."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dropzoo")
class AdjustableDropout(keras.layers.Layer):
    """Drops inputs at a rate that is a variable, `rate`.

    In training, each input is 0 with probability `rate`, and is divided by
    `1 - rate` otherwise; at inference it stays as it is. Keras's `Dropout`
    does the same at a rate that is compiled into the training step.

    Args:
        initial_rate: Float in [0, 1). `rate.assign` sets another one.
        seed: Integer; `seeds.state.assign` starts the stream anew.
        **kwargs: What every layer takes, such as `name`.

    Input shape: any.
    Output shape: same as input.

    Raises: ValueError when the rate is outside its range.

    Example:
        >>> layer = AdjustableDropout(seed=0)
        >>> _ = layer.rate.assign(0.5)
        >>> sorted(set(ops.convert_to_numpy(
        ...     layer(ops.ones(100), training=True)).tolist()))
        [0.0, 2.0]

    Reference: Srivastava et al., "Dropout: A Simple Way to Prevent Neural
        Networks from Overfitting", 2014, section 4.
    """

    def __init__(
        self, initial_rate: float = 0.0, *, seed: int | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        if not 0 <= initial_rate < 1:
            raise ValueError(
                "AdjustableDropout: `initial_rate` must be in [0, 1). "
                f"Received: initial_rate={initial_rate!r}"
            )
        self.initial_rate = initial_rate
        self.seed = seed
        self.seeds = keras.random.SeedGenerator(seed)
        self.rate = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(initial_rate),
            trainable=False,
            name="rate",
        )

    def call(self, x, training=False):
        if not training:
            return x
        rate = ops.cast(self.rate, x.dtype)
        draws = keras.random.uniform(
            ops.shape(x), dtype=x.dtype, seed=self.seeds
        )
        return ops.where(draws < rate, 0.0, x / (1 - rate))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "initial_rate": self.initial_rate,
            "seed": self.seed,
        }
