"""Finds room for a cached file, in a temporary folder where need be."""

import atexit
import errno
import functools
import logging
import os
import shutil
import tempfile
from pathlib import Path

logger = logging.getLogger("dropzoo")


def writable_folder(folder: Path, num_bytes: int) -> Path:
    """Looks whether a cache folder can take a file, before it is computed.

    Args:
        folder: The folder; it is made where it is missing.
        num_bytes: Size of the file.

    Returns: The folder. Where it cannot be written to or its disk is full,
        a temporary one, which is removed when the process ends; a warning
        says so, once.
    """
    obstacle = _obstacle(folder, num_bytes)
    if obstacle is None:
        return folder
    return _temporary_folder(f"{folder} ({obstacle})")


def _obstacle(folder: Path, num_bytes: int) -> str | None:
    """Why a folder cannot take so many bytes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.strerror
    if shutil.disk_usage(folder).free < num_bytes:
        return os.strerror(errno.ENOSPC)
    return None


@functools.cache
def _temporary_folder(instead_of: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="dropzoo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    logger.warning(
        "Nothing can be kept for another run in %s; until this one ends it "
        "lies in %s.",
        instead_of,
        folder,
    )
    return folder
