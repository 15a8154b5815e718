"""Everything that decides the next step of a training, kept in memory."""

import contextlib
import random
from collections.abc import Iterator

import keras
import numpy as np


class TrainingState:
    """A copy of a model's and its optimizer's variables.

    Among them are the optimizer's slots and step counter, the rate where it is
    a number, the state of every random generator in the model, and what its
    metrics have summed up.

    Args:
        model: A model that is built and compiled; its optimizer is built if
            it is not yet.
    """

    def __init__(self, model: keras.Model):
        optimizer = model.optimizer
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        self._variables = [
            *model.variables,
            *model.metrics_variables,
            *optimizer.variables,
        ]
        self._values = [  # copies: some backends give views
            np.array(keras.ops.convert_to_numpy(variable))
            for variable in self._variables
        ]

    def put_back(self) -> None:
        """Gives every variable the value that it had."""
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)


@contextlib.contextmanager
def without_trace(model: keras.Model) -> Iterator[None]:
    """Undoes what a `fit` within the block leaves behind beside variables.

    That is `model.history`, `model.stop_training`, and the position of the
    generators of NumPy and Python, by which Keras shuffles.

    Args:
        model: The model that is trained.
    """
    flags = {
        name: vars(model)[name]
        for name in ("history", "stop_training")
        if name in vars(model)
    }
    generators = np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        np.random.set_state(generators[0])
        random.setstate(generators[1])
        if "history" not in flags and "history" in vars(model):
            del model.history
        for name, value in flags.items():
            setattr(model, name, value)
