"""Keeps converted weights, so that a checkpoint is converted once."""

import hashlib
import logging
from pathlib import Path

import numpy as np

from dropzoo.models.atomic_write import atomic_write

logger = logging.getLogger("dropzoo")


def read_cached(path: Path) -> dict[str, np.ndarray] | None:
    """Reads converted tensors.

    Args:
        path: The cached file.

    Returns: Names and arrays, or `None` where the file is absent or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            digest = (file.metadata() or {}).get("digest")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError):
        return None
    return tensors if digest == _digest(tensors) else None


def write_cached(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Writes converted tensors; warns where that cannot be done.

    Args:
        path: The cached file. Its folder is made where it is missing.
        tensors: Names and arrays.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        with atomic_write(path) as part:
            save_file(tensors, part, metadata={"digest": _digest(tensors)})
    except (OSError, SafetensorError) as error:
        logger.warning("Converted weights are not cached: %s", error)


def _digest(tensors: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()
