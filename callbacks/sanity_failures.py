"""What is wrong with a network and its data before training, in sentences."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dropzoo.callbacks.compiled_loss import CompiledLoss
from dropzoo.callbacks.few_of_each_class import few_of_each_class
from dropzoo.callbacks.sanity_failure import SanityFailure
from dropzoo.callbacks.sanity_first_loss import first_loss_failures
from dropzoo.callbacks.sanity_gradients import gradient_failures
from dropzoo.callbacks.sanity_input import input_failures
from dropzoo.callbacks.sanity_labels import label_failures
from dropzoo.callbacks.sanity_tiny_batch import tiny_batch_failures
from dropzoo.callbacks.steps_taken import steps_taken
from dropzoo.callbacks.trial_training import trial_training

BATCH, TINY = 128, 20  # examples, of all classes in turn


def sanity_failures(
    model: keras.Model, x: Any, y: Any, *, steps: int = 100
) -> list[SanityFailure]:
    """Makes the checks of `SanityCheck` before `fit`.

    When labels, input or first loss show that nothing can be trained, the
    later checks are left out.

    Args:
        model: A model with one input and one output, built and compiled. It
            is left as it was, to the bit.
        x: Inputs, an array or a tensor.
        y: Their targets.
        steps: Most steps on the tiny batch with each rate; 0 leaves it out.

    Returns: What failed; empty when all is well.

    Raises: ValueError when the model is not built and compiled.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> model.compile("sgd", loss)
        >>> x = np.random.default_rng(0).normal(size=(6, 4))
        >>> for failure in sanity_failures(model, x, np.arange(6) % 3 + 1):
        ...     print(failure.sentence)
        Labels must be whole numbers from 0 to 2, but lie in [1, 3]; they ...
    """
    if not (model.built and model.compiled):
        raise ValueError(
            "sanity_failures: `model` must be built and compiled. "
            f"Received: {model.name}"
        )
    x, y = (np.asarray(ops.convert_to_numpy(part)) for part in (x, y))
    with trial_training(model) as trial:
        some = _few(y, BATCH)
        outputs = model(x[some], training=_uses_batch_statistics(model))
        loss = CompiledLoss(model, outputs.shape[-1])
        failures = [*label_failures(loss, y), *input_failures(model, x)]
        if not _any_fatal(failures) and steps_taken(trial.own_optimizer) == 0:
            failures += first_loss_failures(loss, x[some], y[some], outputs)
        if not _any_fatal(failures):
            tiny = some[:TINY]
            failures += gradient_failures(trial, x[tiny], y[tiny])
        if steps and not _any_fatal(failures):
            failures += tiny_batch_failures(
                trial, loss, x[tiny], y[tiny], steps
            )
    return failures


def _any_fatal(failures: list[SanityFailure]) -> bool:
    return any(failure.fatal for failure in failures)


def _uses_batch_statistics(model: keras.Model) -> bool:
    """Whether outputs mean anything only in training, before there was any.

    The moving statistics of a new network normalise nothing: the maps of a
    deep residual one grow from block to block at inference.
    """
    return any(
        isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        for layer in model._flatten_layers()
    )


def _few(y: np.ndarray, most: int) -> np.ndarray:
    """Positions of a few examples, of all classes where there are some."""
    rows = y.reshape(len(y), -1)
    if rows.shape[1] == 1:
        return few_of_each_class(rows[:, 0], most)
    if y.ndim == 2:
        return few_of_each_class(rows.argmax(axis=1), most)
    return np.arange(min(len(y), most))
