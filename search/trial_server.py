"""The other end of a `TrialProcess`."""

import multiprocessing
import os
import pickle
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any

from dropzoo.search.fit_arguments import FitArguments
from dropzoo.search.trial_failure import sentence_of_error
from dropzoo.search.trial_job import TrialJob, TrialOutcome, run_trial


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
