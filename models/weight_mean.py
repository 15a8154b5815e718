"""The mean of the weights of several models, in a model that has it."""

import warnings
from itertools import zip_longest
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dropzoo.models.edits import Edits
from dropzoo.models.recompute_batch_norm import Batches, recompute_batch_norm
from dropzoo.models.rewiring import rewire
from dropzoo.models.saved_model import load_saved_model

Weights = list[np.ndarray]


class WeightMean:
    """The sum of some members' weights, and a model to try means of it in.

    Args:
        model: Tells the architecture.
        batches: What statistics are recomputed on.
    """

    def __init__(self, model: keras.Model, batches: Batches | None):
        self.original = model
        self.model = rewire(model, Edits())
        self.batches = batches
        self.total: Weights = []
        self.count = 0

    def read(self, member: Any) -> Weights:
        """The weights of a member, in double precision where they are real.

        Args:
            member: A model or a file.
        """
        source = member
        if not isinstance(member, keras.Model):
            source = self._load(Path(member))
        _check_variables(self.model, source, member)
        return [
            keras.ops.convert_to_numpy(x).astype("float64")
            if _is_real(x)
            else np.array(keras.ops.convert_to_numpy(x))
            for x in source.weights
        ]

    def add(self, weights: Weights) -> None:
        """Puts a member in."""
        self.total, self.count = self._sum(weights), self.count + 1

    def try_alone(self, weights: Weights) -> None:
        """Gives the model the weights of a member."""
        self._put(weights, 1)

    def try_with(self, weights: Weights) -> None:
        """Gives the model the mean of what is in and one member more."""
        self._put(self._sum(weights), self.count + 1)

    def serve(self) -> None:
        """Gives the model the mean of what is in."""
        self._put(self.total, self.count)

    def _sum(self, weights: Weights) -> Weights:
        """The sum with one member more; counters stay those of the first."""
        if not self.count:
            return weights
        return [
            total + value if _is_real(x) else total
            for x, total, value in zip(
                self.model.weights, self.total, weights, strict=True
            )
        ]

    def _put(self, total: Weights, count: int) -> None:
        for x, value in zip(self.model.weights, total, strict=True):
            x.assign(value / count if _is_real(x) else value)
        for layer in self.model._flatten_layers():
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()  # It computes with constants of them.
        if count > 1 and self.batches is not None:
            recompute_batch_norm(self.model, self.batches)

    def _load(self, path: Path) -> keras.Model:
        """The model in a file, or one that has the weights in a file."""
        if path.suffix == ".keras":
            return load_saved_model(path)
        if not path.is_file():
            raise FileNotFoundError(f"There is no file of weights {path}.")
        reader = keras.models.clone_model(self.original)
        try:
            with warnings.catch_warnings():
                # Keras only warns of what a file lacks inside of containers.
                warnings.simplefilter("error")
                reader.load_weights(path)
        except Exception as error:  # Keras, h5py and zipfile have many kinds.
            reason = " ".join(str(error).split())[:400]
            raise ValueError(
                f"soup: `members` must be weights of {self.model.name!r}. "
                f"Received: {path.name} ({reason})"
            ) from None
        return reader


def _check_variables(model: Any, member: Any, given: Any) -> None:
    """Raises unless a member has the variables of a model, in their order."""
    for pair in zip_longest(model.weights, member.weights):
        kinds = [x is not None and (x.name, tuple(x.shape)) for x in pair]
        if kinds[0] != kinds[1]:
            own, other = (
                "nothing" if x is None else f"{x.path} {tuple(x.shape)}"
                for x in pair
            )
            raise ValueError(
                "soup: `members` must have the variables of `model`. Received: "
                f"{other} of {member_name(given)} in the place of {own}"
            )


def _is_real(variable: Any) -> bool:
    return "float" in str(variable.dtype)


def member_name(member: Any) -> str:
    """The name of a model, or of a file.

    Args:
        member: Either.
    """
    is_model = isinstance(member, keras.Model)
    return member.name if is_model else Path(member).name
