"""Trains a model for a moment and puts everything back."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from dropzoo.callbacks.kept_variables import KeptVariables
from dropzoo.callbacks.process_streams import kept_streams


@keras.saving.register_keras_serializable(package="dropzoo")
class TrialOptimizer(keras.optimizers.Adam):
    """Adam that adds up how large the gradient of each variable was.

    Being an optimizer, it sees the gradients of every backend and of a
    model's own `train_step`. A sum that is not finite had a gradient that was
    not; a sum of zero never had one.
    """

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        self.sums = [
            self.add_variable((), name=f"sum_{position}")
            for position in range(len(variables))
        ]

    def update_step(
        self, gradient: Any, variable: keras.Variable, learning_rate: Any
    ) -> None:
        dense = ops.cast(ops.convert_to_tensor(gradient), "float32")
        total = self.sums[self._get_variable_index(variable)]
        self.assign_add(total, ops.sum(ops.abs(dense)))
        super().update_step(gradient, variable, learning_rate)


class TrialTraining:
    """Takes steps with a model, away from its own optimizer.

    Args:
        model: The model, built and compiled, inside `trial_training`.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        self.own_optimizer = model.optimizer
        self.optimizer = TrialOptimizer()
        self.optimizer.build(model.trainable_variables)
        self._start = _model_variables(model)

    def restart(self, rate: float) -> None:
        """Goes back to the weights of the beginning, with a new rate."""
        self._start.put_back()
        for variable in self.optimizer.variables:
            variable.assign(ops.zeros_like(variable.value))
        self.optimizer.learning_rate.assign(rate)

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """Takes one step on a batch, and returns the loss before it."""
        logs = self.model.train_on_batch(x, y, return_dict=True)
        return float(logs["loss"])

    def gradient_sums(self) -> list[tuple[keras.Variable, float]]:
        """Of each variable, the gradients' sizes since `restart`."""
        sums = [float(total.value) for total in self.optimizer.sums]
        variables = self.model.trainable_variables
        return list(zip(variables, sums, strict=True))


@contextlib.contextmanager
def trial_training(model: keras.Model) -> Iterator[TrialTraining]:
    """Lets a model be called and trained, and then undoes it.

    What comes back to the bit: weights and moving statistics, metrics, the
    states of the model's seed generators, its optimizer with slots and
    counter, its compiled training step, and the random streams of the
    process. Not covered is what a model draws from Keras's global generator,
    by `keras.random` without a seed.

    Args:
        model: The model, built and compiled.

    Yields: The trial, which takes the steps.
    """
    values = _model_variables(model)
    own = model.optimizer, model.train_function, model.steps_per_execution
    try:
        trial = TrialTraining(model)
        model.optimizer = trial.optimizer
        model.train_function = None
        model.steps_per_execution = 1
        with kept_streams(), warnings.catch_warnings():
            # Keras warns of variables without a gradient: they are counted.
            warnings.simplefilter("ignore")
            yield trial
    finally:
        model.optimizer, model.train_function, model.steps_per_execution = own
        model.reset_metrics()
        values.put_back()


def _model_variables(model: keras.Model) -> KeptVariables:
    """Everything that a step moves, apart from the optimizer."""
    return KeptVariables([*model.variables, *model.metrics_variables])
