"""Trains the network of one trial, in whichever process."""

import copy
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropzoo.search.fit_arguments import FitArguments
from dropzoo.search.trial_failure import sentence_of_error

if TYPE_CHECKING:
    import keras
    import keras_tuner

WEIGHTS = "checkpoint.weights.h5"  # KerasTuner's own name
BUILD = "build_config.json"  # of a network that is built by its first batch

Report = Callable[[int, dict[str, float]], bool]


@dataclass(frozen=True)
class TrialJob:
    """What a trial is to do.

    Args:
        parameters: Configuration of its `keras_tuner.HyperParameters`.
        objective: Name and direction of the score.
        folder: Of the trial.
        seed: Of everything random in it.
        epochs: Where its training ends.
        initial_epoch: Where it begins, if it goes on from another trial.
        start_from: Folder of that trial.
        keep_weights: Whether to keep the weights of the best epoch.
        checkpoint_seconds: How often to keep what an interrupted training
            goes on from; `None` for never.
    """

    parameters: dict[str, Any]
    objective: tuple[str, str]
    folder: Path
    seed: int
    epochs: int
    initial_epoch: int = 0
    start_from: Path | None = None
    keep_weights: bool = True
    checkpoint_seconds: float | None = 30.0


@dataclass(frozen=True)
class TrialOutcome:
    """How a trial ended.

    Args:
        message: Why it failed, if it did.
        metrics: Where `fit` of the hypermodel gave the score itself.
        parameters: As in the job, with those that were met on the way.
        trace: Of an error.
        seconds: How long it took.
        fatal: Why the search cannot go on, if it cannot.
    """

    message: str | None = None
    metrics: dict[str, float] | None = None
    parameters: dict[str, Any] | None = None
    trace: str | None = None
    seconds: float = 0.0
    fatal: str | None = None


def run_trial(
    hypermodel: "keras_tuner.HyperModel",
    job: TrialJob,
    arguments: FitArguments,
    report: Report,
) -> TrialOutcome:
    """Trains a network and tells each epoch's metrics.

    Args:
        hypermodel: Builds and trains it.
        job: What to do.
        arguments: Of `fit`.
        report: Called after each epoch with its number, from 0 on, and its
            metrics; training goes on while it says so.

    Returns: How it ended; an error in it is a failure of this trial only, but
        for a `keras_tuner.errors.FatalError`.
    """
    from keras_tuner.errors import FatalError

    started = time.monotonic()
    try:
        outcome = _train(hypermodel, job, arguments, report)
    except FatalError as error:
        outcome = TrialOutcome(fatal=str(error))
    except Exception as error:
        outcome = TrialOutcome(
            message=sentence_of_error(error), trace=traceback.format_exc()
        )
    return replace(outcome, seconds=time.monotonic() - started)


def load_weights(model: "keras.Model", folder: Path) -> None:
    """Puts the best epoch of a trial into its network.

    Args:
        model: As the hypermodel builds it.
        folder: Of the trial.
    """
    import json

    if not model.built:
        config = json.loads((folder / BUILD).read_text(encoding="utf-8"))
        model.build_from_config(config)
    if model.compiled and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    model.load_weights(folder / WEIGHTS)


def _train(
    hypermodel: "keras_tuner.HyperModel",
    job: TrialJob,
    arguments: FitArguments,
    report: Report,
) -> TrialOutcome:
    import keras
    import keras_tuner

    from dropzoo import set_deterministic
    from dropzoo.search.trial_epochs import TrialEpochs

    keras.backend.clear_session(free_memory=False)  # which takes a second
    set_deterministic(job.seed)
    parameters = keras_tuner.HyperParameters.from_config(
        copy.deepcopy(job.parameters)
    )
    positional, named = arguments.open()
    model = hypermodel.build(parameters)
    if job.start_from is not None:
        load_weights(model, job.start_from)
    callbacks = copy.deepcopy(named.pop("callbacks", None)) or []
    epochs = TrialEpochs(job, report, callbacks)
    initial_epoch = epochs.restore(model)
    if initial_epoch:
        named["initial_epoch"] = initial_epoch
    results = hypermodel.fit(
        parameters,
        model,
        *positional,
        **{"verbose": 0, **named},
        epochs=job.epochs,
        callbacks=[*callbacks, epochs],
    )
    metrics = None
    if not any(job.objective[0] in logs for logs in epochs.history):
        metrics = _returned_metrics(results, job)
    if epochs.fault is not None:
        return TrialOutcome(epochs.fault, parameters=parameters.get_config())
    return TrialOutcome(
        metrics=metrics,
        parameters=parameters.get_config(),
        fatal=_missing_objective(epochs.history, metrics, job),
    )


def _returned_metrics(results: Any, job: TrialJob) -> dict[str, float] | None:
    """A score that `fit` of the hypermodel returns instead of a history."""
    if isinstance(results, dict):
        return {name: float(value) for name, value in results.items()}
    if isinstance(results, float | int):
        return {job.objective[0]: float(results)}
    return None


def _missing_objective(
    history: list[dict[str, float]],
    metrics: dict[str, float] | None,
    job: TrialJob,
) -> str | None:
    logged = set(metrics or {}).union(*history)
    if job.objective[0] in logged:
        return None
    return (
        "CoarseToFine: `objective` must be a metric that training logs, which "
        f"are {', '.join(sorted(logged)) or 'none'}. Received: "
        f"objective={job.objective[0]!r}"
    )
