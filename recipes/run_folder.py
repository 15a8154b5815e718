"""The folder of a run: what it holds, and that nothing is overwritten."""

import contextlib
import dataclasses
import itertools
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

from dropzoo.models.atomic_write import atomic_write

SPACE_NEEDED = 512 * 2**20  # bytes
STATE = ".state"  # what a stopped run needs to go on; gone when it is done


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """A folder with `config.json`, `metrics.json`, `labels.json`,
    `model.keras`, `history.csv` and `report.html`.

    Args:
        path: The folder.
        verb: Of the command that makes the run.
    """

    path: Path
    verb: str = "finetune"

    @classmethod
    def create(
        cls, path: str | None, default_name: str, verb: str = "finetune"
    ) -> "RunFolder":
        """Makes the folder of a new run.

        Args:
            path: Where to, or `None` for the first free name among
                `runs/NAME`, `runs/NAME-2` and so on.
            default_name: NAME.
            verb: Of the command that makes the run.

        Raises:
            FileExistsError: There is something at `path` already.
            OSError: The folder cannot be written to, or its disk is full.
        """
        if path is None:
            names = (
                f"{default_name}-{number}" if number > 1 else default_name
                for number in itertools.count(1)
            )
            folder = next(
                folder
                for name in names
                if not (folder := Path("runs") / name).exists()
            )
        else:
            folder = Path(path)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FileExistsError(
                f"{verb}: `out` must not exist yet. Received: {folder}; "
                "choose another folder, or go on with a stopped run by "
                f"`dropzoo {verb} --resume {folder}`."
            )
        _check_writable(folder, verb)
        return cls(folder, verb)

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """Opens the folder of an earlier run.

        Raises:
            FileNotFoundError: There is no run.
        """
        folder = cls(Path(path))
        if not (folder.path / "config.json").is_file():
            raise FileNotFoundError(
                f"There is no run in {path}: a folder with `config.json`, "
                "which `dropzoo finetune` writes, was expected."
            )
        return cls(folder.path, _verb(folder))

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return (self.path / "metrics.json").is_file()

    @property
    def state(self) -> Path:
        """The folder of what a stopped run needs to go on."""
        return self.path / STATE

    def model(self) -> Path:
        """The saved model's file.

        Raises: FileNotFoundError when the run has not got that far.
        """
        path = self.path / "model.keras"
        if not path.is_file():
            raise FileNotFoundError(
                f"The run in {self.path} has no `model.keras`: it was stopped "
                f"before its end; `dropzoo {self.verb} --resume {self.path}` "
                "goes on with it."
            )
        return path

    def write_json(self, name: str, content: Any) -> None:
        """Writes a file of the run, whole or not at all.

        NaN and infinity, such as the loss of a network that diverged, become
        `null`: JSON does not know them.
        """
        text = json.dumps(_finite(content), indent=2, ensure_ascii=False)
        with atomic_write(self.path / name) as part:
            part.write_text(text + "\n", encoding="utf-8")

    def read_json(self, name: str) -> Any:
        """Reads a file of the run.

        Raises:
            FileNotFoundError: It is not there.
            ValueError: It is damaged.
        """
        path = self.path / name
        if not path.is_file():
            raise FileNotFoundError(f"The run in {self.path} has no `{name}`.")
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is damaged ({error}).") from None

    def hold_to(self, photos: str) -> None:
        """Sees to it that a stopped run goes on with the photos it had.

        With other photos the splits are others too, and what was learned from
        may be tested on.

        Args:
            photos: A digest of all photos and of the splits they are in.

        Raises: ValueError when the run was started with others.
        """
        name = f"{STATE}/photos.json"
        if not (self.path / name).is_file():
            self.write_json(name, photos)
        elif self.read_json(name) != photos:
            raise ValueError(
                f"{self.verb}: `resume` needs the photos that the run was "
                f"started with, but those of {self.path} have changed; put "
                "them back as they were, or start a new run."
            )

    def discard_if_bare(self) -> None:
        """Removes a folder that holds nothing but a run's options."""
        if [path.name for path in self.path.iterdir()] == ["config.json"]:
            shutil.rmtree(self.path)

    def finish(self) -> None:
        """Removes what only a stopped run needs."""
        shutil.rmtree(self.state, ignore_errors=True)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def _verb(folder: RunFolder) -> str:
    """The command that made a run, as its options tell."""
    with contextlib.suppress(OSError, ValueError):
        options = folder.read_json("config.json")
        if isinstance(options, dict) and isinstance(options.get("verb"), str):
            return options["verb"]
    return "finetune"


def _check_writable(folder: Path, verb: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"{verb}: `out` must be a folder that can be written to. "
            f"Received: {folder} ({error.strerror})"
        ) from None
    free = shutil.disk_usage(folder).free
    if free < SPACE_NEEDED:
        raise OSError(
            f"{verb}: `out` must lie on a disk with "
            f"{SPACE_NEEDED // 2**20} MiB free. Received: {folder} with "
            f"{free // 2**20} MiB free"
        )
