"""The way that the weights take in a training, epoch by epoch."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

FOLLOWED = 1000  # of all weights, spread evenly; enough for two digits


class WeightPath:
    """Sees how fast the weights of a training move, and whether they turn.

    Short steps follow the slope: what the weights moved in one epoch points
    where it pointed in the epoch before. Steps that are as long as the slope
    allows go to and fro, and at the bottom they go anywhere.

    Attributes:
        paces: What the weights moved in each epoch, as a share of them and for
            each step.
        turns: Cosine between the moves of each epoch and the one before, from
            the second epoch on: 1 goes straight on, -1 goes back.
    """

    def __init__(self) -> None:
        self.paces: list[float] = []
        self.turns: list[float] = []
        self._at: list[float] = []
        self._moved: list[float] = []

    def get_state(self) -> dict[str, Any]:
        """The path so far, as lists."""
        return {name: list(values) for name, values in vars(self).items()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a path over.

        Args:
            state: From `get_state`.
        """
        for name in vars(self):
            setattr(self, name, list(state[name]))

    def start(self, variables: Sequence[keras.Variable]) -> None:
        """Notes where the weights are, unless they are followed already.

        Args:
            variables: The trained weights of a model.
        """
        at = _some(variables)
        if len(at) != len(self._at):
            self._at, self._moved = at.tolist(), []

    def go_on(self, variables: Sequence[keras.Variable], steps: int) -> None:
        """Notes where the weights are after an epoch.

        Args:
            variables: The same as in `start`; others start anew.
            steps: Number of steps in the epoch.
        """
        at = _some(variables)
        if len(at) != len(self._at):
            return self.start(variables)
        old, before = np.array(self._at), self._moved
        moved = at - old
        norm = np.linalg.norm(moved)
        self.paces.append(_ratio(norm / steps, np.linalg.norm(old)))
        if before:
            norms = norm * np.linalg.norm(before)
            self.turns.append(_ratio(moved @ before, norms))
        self._at, self._moved = at.tolist(), moved.tolist()


def _some(variables: Sequence[keras.Variable]) -> np.ndarray:
    count = sum(int(np.prod(variable.shape)) for variable in variables)
    every = max(1, count // FOLLOWED)
    values = [
        np.ravel(keras.ops.convert_to_numpy(variable))[::every]
        for variable in variables
    ]
    return np.concatenate([[], *(x.astype("float64") for x in values)])


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else 0.0
