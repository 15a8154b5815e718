"""Runs trials in processes that are replaced after a few of them.

Keras and TensorFlow keep memory of every network that was ever built. A
process that trains only a few gives it all back.
"""

import multiprocessing
import os
import pickle
import signal
import threading
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from dropzoo.search.fit_arguments import FitArguments
from dropzoo.search.trial_failure import sentence_of_death, sentence_of_error
from dropzoo.search.trial_job import Report, TrialJob, TrialOutcome, run_trial

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


def serve_trials(
    connection: Connection, luggage: bytes, settings: tuple[str, str]
) -> None:
    """Runs the trials that come through a connection, until it is closed.

    Args:
        connection: To the search.
        luggage: From `pickle_for_processes`.
        settings: Keras's float type and dtype policy.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the search sees to Ctrl-C
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    try:
        while True:
            job = connection.recv()
            connection.send(_run(job, connection, luggage, settings))
    except (EOFError, OSError):
        return


_unpacked: tuple[Any, FitArguments] | None = None


def _run(
    job: TrialJob,
    connection: Connection,
    luggage: bytes,
    settings: tuple[str, str],
) -> TrialOutcome:
    """Runs a trial; the first one unpacks what all need."""
    global _unpacked
    if _unpacked is None:
        try:
            _unpacked = _unpack(luggage, settings)
        except Exception as error:
            return TrialOutcome(
                fatal="CoarseToFine: the hypermodel and the arguments of "
                "`search` must be importable in other processes, from a "
                "module or a script; or pass `in_process=True`. Received: "
                f"{sentence_of_error(error)}"
            )

    def report(epoch: int, metrics: dict[str, float]) -> bool:
        connection.send((epoch, metrics))
        return connection.recv()

    return run_trial(_unpacked[0], job, _unpacked[1], report)


def _unpack(
    luggage: bytes, settings: tuple[str, str]
) -> tuple[Any, FitArguments]:
    import keras

    keras.config.set_floatx(settings[0])
    keras.config.set_dtype_policy(settings[1])
    return pickle.loads(luggage)


def _die_with_parent() -> None:
    """Ends this process with the search, which may have been killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
