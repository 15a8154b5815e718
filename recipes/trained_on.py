"""The photos that a run was trained on, whichever recipe made it."""

import dataclasses
from typing import Any

from dropzoo.recipes.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class TrainedOn:
    """What finds a run's photos and splits again.

    Args:
        data: Source of the photos.
        data_dir: Where TensorFlow Datasets keeps its data sets.
        seed: Of the splits.
        limit: Largest number of training photos.
    """

    data: str
    data_dir: str | None
    seed: int
    limit: int | None


def read_trained_on(folder: RunFolder) -> TrainedOn:
    """Reads what a run was trained on from its options.

    Args:
        folder: The run.

    Raises: ValueError when `config.json` is damaged or lacks them.
    """
    options: Any = folder.read_json("config.json")
    names = [field.name for field in dataclasses.fields(TrainedOn)]
    if not isinstance(options, dict) or not set(names) <= set(options):
        raise ValueError(
            f"{folder.path / 'config.json'} does not hold the options of "
            f"`dropzoo {folder.verb}` of this version; start a new run."
        )
    return TrainedOn(**{name: options[name] for name in names})
