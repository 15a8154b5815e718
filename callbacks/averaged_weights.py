"""What averages of weights have in common: keeping, showing, applying them."""

import warnings
from typing import Any, Literal

import keras
import numpy as np

from dropzoo.callbacks.steps_taken import updates_made
from dropzoo.models.recompute_batch_norm import (
    Batches,
    recompute_batch_norm,
    thawed_batch_norms,
)

Apply = Literal["end", "validation", "never"]


class AveragedWeights(keras.callbacks.Callback):
    """Keeps an average of a model's weights beside it.

    A subclass decides when weights are added. Averages are float32, or the
    weights' own type where that is wider, and are known by the weight's
    position in `model.weights`, which freezing does not change. What is frozen
    has its value for an average; so a layer that is thawed by a later `fit`
    joins with the same number of additions.

    Args:
        apply: When the model holds the averages: at the "end" of `fit`, during
            each "validation" and at the end, or "never".
        batches: Training batches to recompute batch statistics on, or a
            function that gives them.
    """

    def __init__(self, apply: Apply, batches: Batches | None):
        super().__init__()
        if apply not in ("end", "validation", "never"):
            raise ValueError(
                f"{type(self).__name__}: `apply` must be 'end', 'validation' "
                f"or 'never'. Received: apply={apply!r}"
            )
        self.apply = apply
        self.batches = batches
        self.num_averaged = 0
        self._averages: dict[int, keras.Variable] = {}
        self._replaced: dict[int, np.ndarray] = {}
        self._updates: int | None = None
        self._addition: _Addition | None = None

    def get_state(self) -> dict[str, Any]:
        """What `ExactResume` saves: the averages, and of how many weights."""
        return {
            "num_averaged": self.num_averaged,
            "updates": self._updates,
            "averages": {
                str(position): _read(average)
                for position, average in self._averages.items()
            },
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes saved averages over.

        Args:
            state: From `get_state`.
        """
        self.num_averaged = state["num_averaged"]
        self._updates = state["updates"]
        self._averages = {
            int(position): _variable(value)
            for position, value in state["averages"].items()
        }

    def averaged_model(self) -> keras.Model:
        """Builds a copy of the model that has the averaged weights.

        Returns: A model that shares nothing with the one that is trained, in
            the state that `apply="end"` would leave. The latter must be a
            functional or Sequential model.

        Raises: ValueError when nothing has been averaged yet.
        """
        if not self.num_averaged:
            raise ValueError(
                f"{type(self).__name__}: no weights are averaged yet; train "
                "on, or let the average start earlier."
            )
        twin = keras.models.clone_model(self.model)
        twin.set_weights(self.model.get_weights())
        self._put_into(twin)
        return twin

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._put_back()
        if self._updates is None:
            self._updates = updates_made(self.model.optimizer)
        self._addition = None  # `fit` may have another model or more to train
        weights = self.model.weights
        for position in self._positions():
            if position not in self._averages:
                value = _read(weights[position])
                fresh = value if self.num_averaged else np.zeros_like(value)
                self._averages[position] = _variable(fresh)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.apply == "validation" and self.num_averaged:
            weights = self.model.weights
            self._replaced = {
                position: _read(weights[position])
                for position in {*self._averages, *_statistics(self.model)}
            }
            self._put_into(self.model)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._put_back()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._updates = None
        if self.apply == "never":
            return
        if self.num_averaged:
            self._put_into(self.model)
        else:
            warnings.warn(
                f"{type(self).__name__}: the training has ended before any "
                "weights were averaged; the model keeps its own.",
                stacklevel=2,
            )

    def _updates_since(self) -> int:
        """How often the weights have moved since the last look."""
        before = self._updates or 0
        self._updates = updates_made(self.model.optimizer)
        return self._updates - before

    def _add(self, rate: float) -> None:
        """Moves the averages by a share of their distance to the weights."""
        weights = self.model.weights
        if self._addition is None:
            self._addition = _Addition(
                [weights[position] for position in self._averages],
                list(self._averages.values()),
            )
        self._addition.predict_on_batch(np.array([rate], "float32"))
        self.num_averaged += 1

    def _positions(self) -> list[int]:
        """Which of the model's weights are to be averaged."""
        trained = {id(x) for x in self.model.trainable_variables}
        is_recomputed = self.batches is not None
        statistics = set() if is_recomputed else _statistics(self.model)
        return [
            position
            for position, variable in enumerate(self.model.weights)
            if id(variable) in trained or position in statistics
        ]

    def _put_into(self, model: keras.Model) -> None:
        weights = model.weights
        for position, average in self._averages.items():
            weights[position].assign(_read(average))
        if self.batches is not None:
            recompute_batch_norm(model, self.batches)

    def _put_back(self) -> None:
        if self._replaced:
            weights = self.model.weights
            for position, value in self._replaced.items():
                weights[position].assign(value)
            self._replaced = {}


class _Addition(keras.Model):
    """One step of all averages, for `predict_on_batch` to compile.

    Weight by weight, it would take longer than a step of a small network.
    """

    def __init__(self, given, averages):
        super().__init__(autocast=False, name="addition")
        self.given = given
        self.averages = averages
        self.built = True

    def call(self, rate):
        for weight, average in zip(self.given, self.averages, strict=True):
            value = keras.ops.cast(weight, average.dtype)
            share = keras.ops.cast(rate[0], average.dtype)
            average.assign(average + (value - average) * share)
        return rate


def _statistics(model: keras.Model) -> set[int]:
    """Positions of the batch statistics that training moves."""
    moving = {
        id(variable)
        for layer in thawed_batch_norms(model)
        for variable in layer.non_trainable_variables
    }
    return {i for i, x in enumerate(model.weights) if id(x) in moving}


def _read(variable: keras.Variable) -> np.ndarray:
    """A copy: the next step overwrites, or frees, what a variable holds."""
    return np.array(keras.ops.convert_to_numpy(variable))


def _variable(value: np.ndarray) -> keras.Variable:
    dtype = "float64" if value.dtype == "float64" else "float32"
    return keras.Variable(value, dtype=dtype, trainable=False)
