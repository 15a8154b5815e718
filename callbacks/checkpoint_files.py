"""Checkpoints in a folder: the newest two, and that of the end."""

import itertools
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dropzoo.models.atomic_write import atomic_write, remove_parts

END = "end.safetensors"
STEPS = "step-*.safetensors"
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


def write_checkpoint(
    folder: Path, step: int, checkpoint: Checkpoint, *, end: bool = False
) -> None:
    """Writes a checkpoint, then removes those that it replaces.

    Args:
        folder: Where to keep it.
        step: Number of steps done, of which the file has its name.
        checkpoint: What to write.
        end: Whether the training has ended; that checkpoint is one more.

    Raises: OSError when it cannot be written; the others are then kept.
    """
    path = folder / (END if end else f"step-{step:09d}.safetensors")
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

    Warns of each that it passes over because of a fault. What a killed process
    had begun to write is removed.

    Args:
        folder: Where checkpoints are kept.
        check: Tells what is wrong with one, `None` for nothing. An empty
            string means that it is not for this purpose.

    Returns: The checkpoint, or `None` where there is none.

    Raises: ValueError when there are some with faults and no other.
    """
    remove_parts(folder, "*.safetensors")
    paths = [*filter(Path.is_file, [folder / END]), *_newest_first(folder)]
    for path, older in itertools.zip_longest(paths, paths[1:]):
        try:
            checkpoint = _read(path)
            wrong = check(checkpoint)
        except DAMAGES as error:
            fault = f"is damaged ({error})"
        else:
            if wrong is None:
                return checkpoint
            if not wrong:
                continue
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
    return sorted(folder.glob(STEPS), reverse=True)


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="np") as file:
        facts = json.loads(file.metadata()["facts"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}
        return Checkpoint(arrays, facts)
