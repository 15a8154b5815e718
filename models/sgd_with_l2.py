"""SGD with momentum and weight decay as papers of its time have it."""

import keras


@keras.saving.register_keras_serializable(package="dropzoo")
class SGDWithL2(keras.optimizers.SGD):
    """SGD that adds `l2` times each weight to its gradient.

    With gradient `g`, weight `w`, rate `r` and momentum `m`

        v <- m v - r (g + l2 w)
        w <- w + v                          (nesterov: w + m v - r (g + l2 w))

    which is the gradient of a loss with `l2 / 2 * sum(w ** 2)` more. The
    `weight_decay` of Keras shrinks weights beside the momentum; with a momentum
    of 0.9 an equal number does ten times less. All variables decay, biases and
    those of batch normalization among them, as in the code of those papers.

    Args:
        l2: Float of at least 0.
        learning_rate: Float or schedule.
        name: Name of the optimizer.
        **kwargs: What `keras.optimizers.SGD` takes.

    Raises: ValueError when `l2` is below 0.

    Reference: Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
        2019, algorithm 1.
    """

    def __init__(self, l2, learning_rate=0.01, name="sgd_with_l2", **kwargs):
        if not l2 >= 0:
            raise ValueError(
                f"SGDWithL2: `l2` must be at least 0. Received: l2={l2!r}"
            )
        super().__init__(learning_rate, name=name, **kwargs)
        self.l2 = l2

    def update_step(self, gradient, variable, learning_rate):
        if self.l2:
            weight = keras.ops.convert_to_tensor(variable)
            gradient = gradient + self.l2 * weight
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "l2": self.l2}
