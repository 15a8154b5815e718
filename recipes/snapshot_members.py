"""The snapshots of a training: judged, chosen, and built into one model."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from dropzoo.callbacks import SnapshotEnsemble
from dropzoo.data.examples import Examples
from dropzoo.models.ensemble import ensemble
from dropzoo.models.preprocessing import raw_input_model
from dropzoo.models.rewiring import rewire
from dropzoo.models.stripping import training_edits
from dropzoo.recipes.scoring import log_probabilities


@dataclasses.dataclass(frozen=True)
class Member:
    """A snapshot.

    Args:
        number: From 1 on, the oldest first.
        step: Number of training steps behind it.
        epoch: Number of epochs behind it.
        weights: Its file.
    """

    number: int
    step: int
    epoch: int
    weights: Path

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"snapshot {self.number} (epoch {self.epoch})"


@dataclasses.dataclass(frozen=True, eq=False)
class Members:
    """The snapshots of one training, the oldest first.

    Args:
        network: A network of their architecture; its weights are changed.
        members: The snapshots.
    """

    network: keras.Model
    members: Sequence[Member]

    @classmethod
    def of(
        cls,
        network: keras.Model,
        snapshots: SnapshotEnsemble,
        steps_per_epoch: int,
    ) -> "Members":
        """Those that a callback has kept.

        Args:
            network: A network of their architecture.
            snapshots: The callback, at the end of the training.
            steps_per_epoch: Batches in an epoch.
        """
        return cls(
            network,
            [
                Member(
                    number,
                    entry["step"],
                    entry["step"] // steps_per_epoch,
                    snapshots.directory / entry["file"],
                )
                for number, entry in enumerate(snapshots.snapshots, start=1)
            ],
        )

    def __len__(self) -> int:
        return len(self.members)

    def probabilities(
        self, examples: Examples, advance: Callable[[int], None]
    ) -> np.ndarray:
        """What each gives, `(members, images, classes)`.

        Args:
            examples: The images.
            advance: Called with the number of images after each batch.
        """
        tables = []
        for member in self.members:
            self.network.load_weights(member.weights)
            scores = log_probabilities(self.network, examples, advance)
            tables.append(np.exp(scores))
        return np.stack(tables)

    def together(self, number: int) -> keras.Model:
        """One model of the last so many, from raw images to probabilities.

        Args:
            number: How many, at least 1.
        """
        models = []
        for member in self.members[-number:]:
            self.network.load_weights(member.weights)
            copy = rewire(self.network, training_edits(self.network))
            copy.name = f"snapshot_{member.number}"
            models.append(raw_input_model(copy))
        return models[0] if number == 1 else ensemble(models)
