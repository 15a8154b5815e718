"""What the trials of a stage try: at random, evenly spread, or on a grid.

The values of a trial follow from the seed, the stage and a number alone, so
that several machines, and one that was interrupted, try the same.
"""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from keras_tuner import HyperParameters
    from keras_tuner.engine.hyperparameters import HyperParameter

Values: TypeAlias = dict[str, Any]

MOST_LEVELS = 10  # of a range without steps on a grid, as KerasTuner has it
LARGEST_GRID = 100_000  # points that are counted


def derive_seed(*numbers: int) -> int:
    """A seed in [0, 2**32) that follows from some numbers, each at least 0.

    Args:
        *numbers: Such as the seed of a search and the number of a trial.

    Example:
        >>> derive_seed(0, 1) == derive_seed(0, 1) != derive_seed(1, 0)
        True
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def random_values(
    space: "HyperParameters", seed: int, number: int, *, quasi: bool = False
) -> Values:
    """One draw from a space, on the scale that each parameter is sampled on.

    Args:
        space: Where to draw.
        seed: Of the stage.
        number: Which draw, from 0 on.
        quasi: Whether to take the points of a scrambled Sobol sequence, which
            leave no gaps and no heaps, instead of independent ones.

    Returns: Values of the parameters whose conditions are met.

    Example:
        >>> import keras_tuner
        >>> space = keras_tuner.HyperParameters()
        >>> _ = space.Float("rate", 1e-4, 1.0, sampling="log")
        >>> draws = [
        ...     random_values(space, 0, k, quasi=True)["rate"] for k in range(4)
        ... ]
        >>> sorted(int(np.floor(np.log10(x))) for x in draws)  # one a decade
        [-4, -3, -2, -1]

    Reference: Bergstra and Bengio, "Random Search for Hyper-Parameter
    Optimization", 2012, Section 4 on quasi-random sequences.
    """
    size = len(space.space)
    if not size:
        return {}
    point = (
        _sobol_point(size, seed, number)
        if quasi
        else np.random.default_rng([seed, number]).random(size)
    )
    values: Values = {}
    for parameter, share in zip(space.space, point, strict=True):
        if _is_active(parameter, values):
            values[parameter.name] = parameter.prob_to_value(float(share))
    return values


def grid_values(
    space: "HyperParameters", trials: int, seed: int
) -> list[Values]:
    """The points of a grid, at most as many as there are trials.

    A range without steps gets as many levels as the trials allow, at most
    10, in the middles of equal parts of its scale. A grid that is too large
    all the same is thinned at random, and not cut off, which would vary only
    its last parameters.

    Args:
        space: What to lay the grid over.
        trials: The most points, at least 1.
        seed: Of the thinning.

    Returns: The points, those of the last parameter side by side.
    """
    points: list[Values] = []
    for levels in range(MOST_LEVELS, 0, -1):
        points = list(itertools.islice(_grid(space, levels), LARGEST_GRID))
        if len(points) <= trials:
            return points
    chosen = np.random.default_rng(seed).permutation(len(points))[:trials]
    return [points[i] for i in sorted(chosen)]


def _sobol_point(size: int, seed: int, number: int) -> np.ndarray:
    from scipy.stats import qmc

    sequence = qmc.Sobol(size, rng=seed)
    if number:
        sequence.fast_forward(number)
    return sequence.random(1)[0]


def _grid(space: "HyperParameters", levels: int) -> Iterator[Values]:
    def extend(values: Values, position: int) -> Iterator[Values]:
        if position == len(space.space):
            yield values
            return
        parameter = space.space[position]
        if not _is_active(parameter, values):
            yield from extend(values, position + 1)
            return
        for value in _levels(parameter, levels):
            yield from extend(values | {parameter.name: value}, position + 1)

    return extend({}, 0)


def _levels(parameter: "HyperParameter", levels: int) -> list[Any]:
    if getattr(parameter, "step", 1) is None:
        shares = (np.arange(levels) + 0.5) / levels
        found = [parameter.prob_to_value(float(share)) for share in shares]
        return list(dict.fromkeys(found))
    return list(parameter.values)


def _is_active(parameter: "HyperParameter", values: Values) -> bool:
    return all(x.is_active(values) for x in parameter.conditions)
