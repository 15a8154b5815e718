"""Files that have their final name are whole."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".part-"


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path whose file takes the final name on success.

    Args:
        path: The final name. Its folder is made where it is missing.

    Yields: A path in the same folder, with the same suffixes, to write to. It
        is removed when the block raises or is interrupted.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_write(folder / "answer.txt") as part:
        ...     _ = part.write_text("42")
        >>> [file.name for file in folder.iterdir()]
        ['answer.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{PREFIX}{os.getpid()}-{path.name}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path, pattern: str) -> None:
    """Removes what processes that were killed had begun to write.

    Args:
        folder: Where only this process writes by now.
        pattern: Shell pattern of final names.
    """
    for part in folder.glob(f"{PREFIX}*-{pattern}"):
        part.unlink(missing_ok=True)
