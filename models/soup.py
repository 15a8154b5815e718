"""Averages the weights of several trainings of one network."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dropzoo.models.functional_graph import check_has_graph
from dropzoo.models.recompute_batch_norm import Batches, check_batches
from dropzoo.models.weight_mean import WeightMean, member_name

logger = logging.getLogger("dropzoo")


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
    pot = WeightMean(model, batches)
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
        ", ".join(map(member_name, chosen)),
    )
    return pot.model


def _choose(pot: WeightMean, members: list[Any], score: Any) -> list[Any]:
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


def _number(value: Any, member: Any) -> float:
    """A score as a number."""
    number = float(value)
    if np.isnan(number):
        raise ValueError(
            "soup: `score` must give a number. Received: nan, with "
            f"{member_name(member)}"
        )
    return number


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
