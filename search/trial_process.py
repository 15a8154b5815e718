"""Runs trials in processes that are replaced after a few of them.

Keras and TensorFlow keep memory of every network that was ever built. A
process that trains only a few gives it all back.
"""

import contextlib
import multiprocessing
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from dropzoo.search.fit_arguments import FitArguments, pickle_for_processes
from dropzoo.search.trial_failure import sentence_of_death
from dropzoo.search.trial_job import Report, TrialJob, TrialOutcome, run_trial
from dropzoo.search.trial_server import serve_trials

if TYPE_CHECKING:
    import keras_tuner

SPAWN = multiprocessing.get_context("spawn")  # a fork of TensorFlow hangs
GOODBYE_SECONDS = 5.0


class TrialProcess:
    """A place where one trial runs at a time, in a process of its own.

    Args:
        luggage: From `pickle_for_processes`.
        trials_per_process: After how many trials the process is replaced, at
            least 1.
    """

    def __init__(self, luggage: bytes, trials_per_process: int = 10):
        self.luggage = luggage
        self.trials_per_process = trials_per_process
        self.process: multiprocessing.process.BaseProcess | None = None
        self.connection: Connection | None = None
        self.trials = 0

    def start(self, job: TrialJob) -> None:
        """Starts a trial.

        Args:
            job: What it is to do.
        """
        if self.trials >= self.trials_per_process:
            self.close()
        if self.process is None:
            self._start_process()
        self.trials += 1
        if self.connection is not None:
            try:
                self.connection.send(job)
            except OSError:
                return  # it died meanwhile, which `proceed` will see

    def proceed(self, report: Report) -> TrialOutcome | None:
        """Waits for news of the trial.

        Args:
            report: Gets an epoch's metrics.

        Returns: How it ended, or `None` while it goes on.
        """
        if self.connection is None:
            return None
        try:
            news = self.connection.recv()
            if isinstance(news, TrialOutcome):
                return news
            self.connection.send(report(*news))
            return None
        except (EOFError, OSError):
            return self._bury()

    def close(self) -> None:
        """Ends the process."""
        if self.connection is not None:
            self.connection.close()
        if self.process is not None:
            self.process.join(GOODBYE_SECONDS)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
        self.process = self.connection = None
        self.trials = 0

    def _start_process(self) -> None:
        import keras

        self.connection, end = SPAWN.Pipe()
        settings = keras.config.floatx(), keras.config.dtype_policy().name
        self.process = SPAWN.Process(
            target=serve_trials, args=(end, self.luggage, settings), daemon=True
        )
        self.process.start()
        end.close()

    def _bury(self) -> TrialOutcome:
        exit_code = None
        if self.process is not None:
            self.process.join(GOODBYE_SECONDS)
            exit_code = self.process.exitcode
        self.close()
        return TrialOutcome(message=sentence_of_death(exit_code))


class TrialHere:
    """The same in this process, for trials that take no time and memory.

    Args:
        hypermodel: Builds and trains networks.
        arguments: Of `fit`.
    """

    connection = None

    def __init__(
        self, hypermodel: "keras_tuner.HyperModel", arguments: FitArguments
    ):
        self.hypermodel = hypermodel
        self.arguments = arguments
        self.job: TrialJob | None = None

    def start(self, job: TrialJob) -> None:
        """Takes a trial.

        Args:
            job: What it is to do.
        """
        self.job = job

    def proceed(self, report: Report) -> TrialOutcome | None:
        """Runs the trial to its end.

        Args:
            report: Gets each epoch's metrics.
        """
        if self.job is None:
            return None
        return run_trial(self.hypermodel, self.job, self.arguments, report)

    def close(self) -> None:
        """Does nothing."""


@contextlib.contextmanager
def trial_processes(
    hypermodel: "keras_tuner.HyperModel",
    arguments: FitArguments,
    *,
    number: int = 1,
    trials_per_process: int = 10,
) -> Iterator[list[TrialProcess]]:
    """Gives places for trials, whose processes end with the block.

    Args:
        hypermodel: Builds and trains networks.
        arguments: Of `fit`; arrays go to all processes through one file each.
        number: Of places.
        trials_per_process: After how many trials a process is replaced.
    """
    with tempfile.TemporaryDirectory(prefix="dropzoo-search-") as folder:
        luggage = pickle_for_processes(
            hypermodel, arguments.in_files(Path(folder))
        )
        places = [
            TrialProcess(luggage, trials_per_process) for _ in range(number)
        ]
        try:
            yield places
        finally:
            for place in places:
                place.close()
