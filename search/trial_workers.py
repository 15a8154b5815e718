"""Keeps some places for trials busy until there are no trials left."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from typing import TYPE_CHECKING

from dropzoo.search.trial_job import TrialJob, TrialOutcome
from dropzoo.search.trial_process import TrialHere, TrialProcess

if TYPE_CHECKING:
    import keras_tuner
    from keras_tuner.engine.trial import Trial

SIGN_OF_LIFE = 5.0  # seconds between two, for the trials that run
PAUSE = 0.2  # seconds before asking again for a trial


@dataclass
class TrialWorker:
    """A place for trials.

    Args:
        name: By which the oracle knows it.
        place: Where trials run.
        trial: The one that runs.
        epochs: Number of epochs that it has reported.
        is_done: Whether there are no trials left for it.
    """

    name: str
    place: TrialProcess | TrialHere
    trial: "Trial | None" = None
    epochs: int = 0
    is_done: bool = False


def run_trials(
    workers: Sequence[TrialWorker],
    oracle: "keras_tuner.Oracle",
    make_job: "Callable[[Trial], TrialJob]",
    end: "Callable[[Trial, TrialOutcome, int], None]",
    *,
    sign_of_life: float = SIGN_OF_LIFE,
) -> None:
    """Runs trials until the oracle has no more.

    Args:
        workers: All idle.
        oracle: Or its client on another machine.
        make_job: What a trial is to do.
        end: Called with a trial, how it ended, and the number of its epochs.
        sign_of_life: Seconds after which the oracle hears of a trial.
    """
    last_sign = time.monotonic()
    while not all(worker.is_done for worker in workers):
        for worker in workers:
            if worker.trial is None and not worker.is_done:
                _begin(worker, oracle, make_job)
        busy = [worker for worker in workers if worker.trial is not None]
        if not busy:
            time.sleep(0 if all(x.is_done for x in workers) else PAUSE)
            continue
        waiting = not all(x.trial or x.is_done for x in workers)
        for worker in _with_news(busy, PAUSE if waiting else sign_of_life):
            _proceed(worker, oracle, end)
        if time.monotonic() - last_sign >= sign_of_life:
            for worker in workers:
                if worker.trial is not None:
                    oracle.get_trial(worker.trial.trial_id)
            last_sign = time.monotonic()


def _begin(
    worker: TrialWorker,
    oracle: "keras_tuner.Oracle",
    make_job: "Callable[[Trial], TrialJob]",
) -> None:
    trial = oracle.create_trial(worker.name)
    if trial.status == "STOPPED":
        worker.is_done = True
        worker.place.close()
    elif trial.status == "RUNNING":
        worker.trial, worker.epochs = trial, 0
        worker.place.start(make_job(trial))


def _with_news(
    busy: Sequence[TrialWorker], seconds: float
) -> list[TrialWorker]:
    """Those that have something to tell, waited for so long at most."""
    pipes = [worker.place.connection for worker in busy]
    if not all(pipes):
        return list(busy)  # a trial of this process, which ends at once
    ready = connection.wait([pipe for pipe in pipes if pipe], seconds)
    return [worker for worker in busy if worker.place.connection in ready]


def _proceed(
    worker: TrialWorker,
    oracle: "keras_tuner.Oracle",
    end: "Callable[[Trial, TrialOutcome, int], None]",
) -> None:
    trial = worker.trial
    if trial is None:
        return

    def report(epoch: int, metrics: dict[str, float]) -> bool:
        worker.epochs = epoch + 1
        seen = oracle.update_trial(trial.trial_id, metrics, step=epoch)
        return seen.status != "STOPPED"

    outcome = worker.place.proceed(report)
    if outcome is not None:
        worker.trial = None
        end(trial, outcome, worker.epochs)
