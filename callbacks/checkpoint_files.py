"""Two checkpoints in a folder: the newest, and the one before it."""

import itertools
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dropzoo.models.atomic_write import atomic_write

PATTERN = "step-*.safetensors"
KEPT = 2  # should the newest be damaged
DAMAGES = (OSError, SafetensorError, LookupError, TypeError, ValueError)


class Checkpoint(NamedTuple):
    """The state of a training.

    Args:
        arrays: Tensors by name.
        facts: Everything else, as JSON has it.
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


def write_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint, then removes those older than the one before it.

    Args:
        folder: Where to keep it.
        step: Number of steps done, of which the file has its name.
        checkpoint: What to write.

    Raises: OSError when it cannot be written; the others are then kept.
    """
    path = folder / f"step-{step:09d}.safetensors"
    facts = {"facts": json.dumps(checkpoint.facts)}
    try:
        with atomic_write(path) as part:
            save_file(checkpoint.arrays, part, metadata=facts)
    except SafetensorError as error:
        raise OSError(
            f"ExactResume: {path} cannot be written ({error}); make room and "
            "resume: the checkpoint before this one is kept."
        ) from None
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def read_checkpoint(
    folder: Path, check: Callable[[Checkpoint], str | None]
) -> Checkpoint | None:
    """Reads the newest checkpoint that is whole and passes a check.

    Warns of each that it passes over.

    Args:
        folder: Where checkpoints are kept.
        check: Tells what is wrong with one, or `None`.

    Returns: The checkpoint, or `None` where there is none at all.

    Raises: ValueError when there are some but none is usable.
    """
    paths = _newest_first(folder)
    for path, older in itertools.zip_longest(paths, paths[1:]):
        try:
            checkpoint = _read(path)
            wrong = check(checkpoint)
        except DAMAGES as error:
            fault = f"is damaged ({error})"
        else:
            if wrong is None:
                return checkpoint
            fault = f"belongs to another training: {wrong}"
        if older is None:
            raise ValueError(
                f"ExactResume: {path} {fault}; delete it to start this "
                "training again."
            )
        warnings.warn(
            f"ExactResume: {path} {fault}; {older.name} is used instead.",
            stacklevel=2,
        )
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(PATTERN), reverse=True)


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="np") as file:
        facts = json.loads(file.metadata()["facts"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}
        return Checkpoint(arrays, facts)
