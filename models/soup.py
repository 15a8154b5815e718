"""Averages the weights of several trainings of one network."""

import logging
import warnings
from collections.abc import Callable, Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import check_has_graph
from dropzoo.models.recompute_batch_norm import (
    Batches,
    check_batches,
    recompute_batch_norm,
)
from dropzoo.models.rewiring import rewire
from dropzoo.models.saved_model import load_saved_model

logger = logging.getLogger("dropzoo")

Weights = list[np.ndarray]


def soup(
    model: keras.Model,
    members: Iterable[keras.Model | str | Path],
    *,
    score: Callable[[keras.Model], float] | None = None,
    batches: Batches | None = None,
) -> keras.Model:
    """A model whose weights are the average of those of several trainings.

    Trainings that began with the same weights, such as several fine-tunings of
    one pretrained network, often end in one valley of the loss, and their mean
    is better than each. It costs no more than one of them at inference, as an
    ensemble would.

    Without a score it is the uniform soup, the mean of all members. With one
    it is the greedy soup: from the best member on, in the order of their
    scores, each is added that does not make the score of the mean worse.

    Args:
        model: A functional or Sequential model that tells the architecture and
            which layers are frozen. Its own weights do not count, unless it is
            among the members.
        members: Models of that architecture, or `.keras` or `.weights.h5`
            files of such.
        score: A function of a model, which is not compiled, that gives a
            number, the higher the better. It chooses, so it must see
            validation data, never test data. `None` takes all members.
        batches: Batches of the training data, or a function that gives them,
            on which the statistics of batch normalization are recomputed for
            each average, as `recompute_batch_norm` does. A single member keeps
            its own. May be `None` where no such layer is trained.

    Returns: An independent functional model, not compiled. Which members it
        holds is logged.

    Raises:
        TypeError: `model` or a member is of another kind, or `score` is no
            function.
        ValueError: There are no members, one has other variables, a score is
            no number, or batch normalization is trained and there are no
            `batches`.
        FileNotFoundError: A file does not exist.

    Example:
        >>> members = [
        ...     keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        ...     for _ in range(2)
        ... ]
        >>> mixed = soup(members[0], members)
        >>> kernels = [member.get_weights()[0] for member in members]
        >>> bool(np.allclose(mixed.get_weights()[0], sum(kernels) / 2))
        True

    Reference: Wortsman et al., "Model soups: averaging weights of multiple
        fine-tuned models improves accuracy without increasing inference
        time", 2022, section 2, recipe 1.
    """
    check_has_graph(model, "soup")
    check_batches("soup", model, batches)
    if score is not None and not callable(score):
        raise TypeError(
            "soup: `score` must be a function of a model, or None. "
            f"Received: score={score!r}"
        )
    members = _listed(members)
    pot = _Pot(model, batches)
    if score is None:
        chosen = list(members)
        for member in members:
            pot.add(pot.read(member))
    else:
        chosen = _choose(pot, members, score)
    pot.serve()
    logger.info(
        "soup: %d of %d members: %s",
        len(chosen),
        len(members),
        ", ".join(map(_name, chosen)),
    )
    return pot.model


def _choose(pot: "_Pot", members: list[Any], score: Any) -> list[Any]:
    """Fills the pot greedily, and tells with which members."""
    scores = []
    for member in members:
        pot.try_alone(pot.read(member))
        scores.append(_number(score(pot.model), member))
    order = sorted(range(len(members)), key=lambda i: -scores[i])
    first, *others = order
    pot.add(pot.read(members[first]))
    best, chosen = scores[first], [members[first]]
    for i in others:
        weights = pot.read(members[i])
        pot.try_with(weights)
        found = _number(score(pot.model), members[i])
        if found >= best:
            pot.add(weights)
            best, chosen = found, [*chosen, members[i]]
    return chosen


class _Pot:
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
                f"{other} of {_name(given)} in the place of {own}"
            )


def _is_real(variable: Any) -> bool:
    return "float" in str(variable.dtype)


def _number(value: Any, member: Any) -> float:
    """A score as a number."""
    number = float(value)
    if np.isnan(number):
        raise ValueError(
            "soup: `score` must give a number. Received: nan, with "
            f"{_name(member)}"
        )
    return number


def _name(member: Any) -> str:
    is_model = isinstance(member, keras.Model)
    return member.name if is_model else Path(member).name


def _listed(members: Any) -> list[Any]:
    """The members as a list of models and files that is not empty."""
    kinds = (keras.Model, str, Path)
    listed = [] if isinstance(members, kinds) else list(members)
    is_list = not isinstance(members, kinds)
    if not is_list or not all(isinstance(x, kinds) for x in listed):
        raise TypeError(
            "soup: `members` must be a list of models or files of weights. "
            f"Received: members={members!r}"
        )
    if not listed:
        raise ValueError(
            "soup: `members` must hold at least one. Received: members=[]"
        )
    return listed
