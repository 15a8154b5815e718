"""Removes the weights of trials that are not among the best."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from dropzoo.search.trial_epochs import STATE
from dropzoo.search.trial_job import BUILD, WEIGHTS


class KeptWeights:
    """The weights that one process has written, of which the best stay.

    Args:
        project: The folder of the search.
    """

    def __init__(self, project: Path):
        self.project = project
        self.written: set[str] = set()

    def adopt(self) -> None:
        """Takes over what an interrupted search has left."""
        folders = self.project.glob("trial_*")
        self.written |= {x.name.removeprefix("trial_") for x in folders}

    def end(self, trial_id: str) -> None:
        """Notes that a trial has ended, and removes what it would go on from.

        Args:
            trial_id: Of the trial.
        """
        self.written.add(trial_id)
        shutil.rmtree(self._folder(trial_id) / STATE, ignore_errors=True)

    def keep(self, best: Iterable[str]) -> None:
        """Removes the weights of all other trials.

        Args:
            best: Those to keep, by `trial_id`.
        """
        for trial_id in self.written - set(best):
            for name in (WEIGHTS, BUILD):
                (self._folder(trial_id) / name).unlink(missing_ok=True)
            self.written.discard(trial_id)

    def _folder(self, trial_id: str) -> Path:
        return self.project / f"trial_{trial_id}"
