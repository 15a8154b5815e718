"""Everything that decides the next step of a training, kept in memory."""

import contextlib
from collections.abc import Iterator

import keras

from dropzoo.callbacks.kept_variables import KeptVariables
from dropzoo.callbacks.process_streams import kept_streams


class TrainingState(KeptVariables):
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
        super().__init__(
            [
                *model.variables,
                *model.metrics_variables,
                *optimizer.variables,
            ]
        )


@contextlib.contextmanager
def without_trace(model: keras.Model) -> Iterator[None]:
    """Undoes what a `fit` within the block leaves behind beside variables.

    That is `model.history`, `model.stop_training`, and the position of the
    process's random streams, by which Keras shuffles.

    Args:
        model: The model that is trained.
    """
    flags = {
        name: vars(model)[name]
        for name in ("history", "stop_training")
        if name in vars(model)
    }
    try:
        with kept_streams():
            yield
    finally:
        if "history" not in flags and "history" in vars(model):
            del model.history
        for name, value in flags.items():
            setattr(model, name, value)
