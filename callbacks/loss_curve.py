"""The course of a training, as a diagnosis reads it."""

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class LossCurve:
    """The losses of a training.

    Args:
        loss: Mean training loss of each epoch, at least one.
        val_loss: Validation loss of each epoch that was validated, evenly
            spaced; empty where none was.
        parts: Mean training losses of equal parts of the epochs, in order,
            for a closer look than `loss` allows; empty where unknown.
        first: Loss of the first batch, before the first step, or None.
        chance: Loss of who knows nothing, such as ln C, or None.
        penalty: What regularisers of weights add to the first loss.
        last_penalty: What they add to the last.
        dropouts: Rates of the dropout layers.
        paces: What the weights moved in each epoch, as a share of them and for
            each step.
        turns: Cosine between what the weights moved in an epoch and in the
            one before it.

    Raises: ValueError when `loss` is empty.
    """

    loss: Sequence[float]
    val_loss: Sequence[float] = ()
    parts: Sequence[float] = ()
    first: float | None = None
    chance: float | None = None
    penalty: float = 0.0
    last_penalty: float = 0.0
    dropouts: Sequence[float] = ()
    paces: Sequence[float] = ()
    turns: Sequence[float] = ()

    def __post_init__(self) -> None:
        if not len(self.loss):
            raise ValueError(
                "LossCurve: `loss` must have at least one epoch; train first."
            )

    @classmethod
    def of(
        cls,
        history: "keras.callbacks.History | Mapping | str | Path | LossCurve",
    ) -> "LossCurve":
        """Reads what `fit` returns, its dictionary, or a CSV file.

        Args:
            history: A `History`, a mapping with `"loss"` and perhaps
                `"val_loss"`, or the path of a CSV file with these columns,
                such as `history.csv` of a run or what `CSVLogger` writes.

        Raises: ValueError when there is no loss in it.
        """
        if isinstance(history, LossCurve):
            return history
        if isinstance(history, str | Path):
            with open(history, newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            history = {
                name: [float(row[name]) for row in rows if row.get(name)]
                for name in ("loss", "val_loss")
            }
        values = getattr(history, "history", history)
        if not values.get("loss"):
            raise ValueError(
                "LossCurve: `history` must have the `loss` of an epoch. "
                f"Received: {', '.join(values) or 'nothing'}"
            )
        return cls(values["loss"], values.get("val_loss", ()))

    def fine(self) -> np.ndarray:
        """The training loss as closely as it is known, from the start on."""
        start = [] if self.first is None else [self.first]
        return np.array([*start, *(self.parts or self.loss)], "float64")

    def start(self) -> float:
        """The loss before training, as early as it is known."""
        return float(self.fine()[0])
