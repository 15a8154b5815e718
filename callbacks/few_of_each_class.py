"""Chooses a tiny batch that has every class in it."""

import numpy as np


def few_of_each_class(labels: np.ndarray, most: int = 20) -> np.ndarray:
    """Positions of a few examples, class after class in turn.

    Args:
        labels: Class of each example, `(examples,)`.
        most: Largest number of positions.

    Returns: Positions: the first of each class, then the second of each, and
        so on.

    Example:
        >>> few_of_each_class(np.array([7, 7, 7, 1, 1, 1]), most=4)
        array([3, 0, 4, 1])
    """
    order = np.argsort(labels, kind="stable")
    ranks = np.empty(len(labels), int)
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        ranks[rows] = np.arange(len(rows))
    return np.lexsort((labels, ranks))[:most]
