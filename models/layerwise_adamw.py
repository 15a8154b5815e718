"""AdamW with a lower rate for earlier layers."""

from typing import TYPE_CHECKING

import keras
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Sequence

NEVER = -1.0  # the first step of a variable that has not moved yet


@keras.saving.register_keras_serializable(package="dropzoo")
class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW whose rate is multiplied by a factor for each variable.

    A variable of factor `f` moves as under `AdamW(f * learning_rate)`, weight
    decay included; one of factor 0 does not move. Factors go by position, not
    by path: a variable's path changes when a model is saved and loaded, the
    order of `model.trainable_variables` does not. `learning_rate` stays one
    number or schedule, so that every callback that reads or sets it works.

    A variable that begins to train later, because `dropzoo.models.freeze`
    thawed it, has its moments corrected for its own number of steps: its first
    step is at most its rate, as in a new Adam, and not 3.2 times that.

    Args:
        factors: One factor, at least 0, for each trainable variable, in the
            order of `model.trainable_variables`.
        learning_rate: Float or schedule; the rate of a variable of factor 1.
        name: Name of the optimizer.
        **kwargs: What `keras.optimizers.AdamW` takes.

    Raises: ValueError when a factor is negative, or the number of factors is
        not the number of variables that are to be trained.

    Reference: Howard and Ruder, "Universal Language Model Fine-tuning for
        Text Classification", 2018, section 3.2 (discriminative fine-tuning).
    """

    def __init__(
        self,
        factors: "Sequence[float]",
        learning_rate=1e-3,
        name="layerwise_adamw",
        **kwargs,
    ):
        if any(not factor >= 0 for factor in factors):
            raise ValueError(
                "LayerwiseAdamW: every one of `factors` must be at least 0. "
                f"Received: {min(factors)}"
            )
        super().__init__(learning_rate, name=name, **kwargs)
        self.factors = factors
        self._first_steps: list[keras.Variable] = []

    def build(self, variables):
        if len(variables) != len(self.factors):
            raise ValueError(
                "LayerwiseAdamW: `factors` must hold one factor for each "
                f"trainable variable. Received: {len(self.factors)} factors "
                f"for {len(variables)} variables"
            )
        super().build(variables)
        if not self._first_steps:
            # Named as Keras names its slots, by which `freeze` finds them.
            self._first_steps = [
                self.add_variable(
                    shape=(),
                    initializer=keras.initializers.Constant(NEVER),
                    dtype="float32",
                    name=f"{variable.path.replace('/', '_')}_first_step",
                )
                for variable in variables
            ]

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype) * self.factors[index]
        if self._use_weight_decay(variable):
            self.assign_sub(variable, variable * (rate * self.weight_decay))
        scale = ops.cast(self._age_correction(index), variable.dtype)
        super().update_step(gradient, variable, rate * scale)

    def _age_correction(self, index: int):
        """What turns Adam's bias correction into that of a younger variable.

        Adam divides by `1 - beta ** step`, because its moments began at zero
        in step 0. Those of a variable that was thawed later began at zero in
        that step.
        """
        first_step = self._first_steps[index]
        now = ops.cast(self.iterations, "float32")
        begun = ops.convert_to_tensor(first_step)  # JAX asks for a tensor
        first = ops.where(begun == NEVER, now, begun)
        self.assign(first_step, first)

        def correction(steps):
            first_moment = 1 - ops.power(self.beta_1, steps)
            return ops.sqrt(1 - ops.power(self.beta_2, steps)) / first_moment

        return correction(now - first + 1) / correction(now + 1)

    def _apply_weight_decay(self, variables):
        """Left to `update_step`, which knows the rate of each variable."""

    def get_config(self):
        return {**super().get_config(), "factors": list(self.factors)}
