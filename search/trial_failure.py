"""Why trials fail, in sentences that a search writes down and counts."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial

DIVERGED = "Diverged"
NO_MEMORY = "Ran out of memory"
# What some settings do and others do not: no reason to doubt the program.
OF_THE_SETTINGS = DIVERGED, NO_MEMORY
MEMORY_ERRORS = "ResourceExhaustedError", "MemoryError", "OutOfMemoryError"


def sentence_of_divergence(epoch: int, logs: Mapping[str, float]) -> str | None:
    """Tells which metric of an epoch is no number, if one is not.

    Args:
        epoch: From 0 on.
        logs: Metrics by name.

    Example:
        >>> sentence_of_divergence(0, {"loss": float("nan")})
        'Diverged: loss was nan after epoch 1.'
    """
    for name, value in logs.items():
        if not math.isfinite(value):
            return f"{DIVERGED}: {name} was {value} after epoch {epoch + 1}."
    return None


def sentence_of_error(error: BaseException) -> str:
    """An error as one line.

    Args:
        error: What was raised in a trial.

    Example:
        >>> sentence_of_error(ValueError("no rate\\nat line 3"))
        'ValueError: no rate'
    """
    kind = type(error).__name__
    if kind in MEMORY_ERRORS:
        return f"{NO_MEMORY} ({kind})."
    lines = str(error).strip().splitlines() or ["(no message)"]
    return f"{kind}: {lines[0]}"


def sentence_of_death(exit_code: int | None) -> str:
    """Tells how the process of a trial ended.

    Args:
        exit_code: As `multiprocessing` has it: negative for a signal.

    Example:
        >>> sentence_of_death(-9)
        'The process of the trial was killed by SIGKILL; ...memory...'
    """
    import signal

    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = "; the system does so when memory is short" * (exit_code == -9)
        return f"The process of the trial was killed by {name}{hint}."
    return f"The process of the trial ended by itself (code {exit_code})."


def sentence_of_failures(
    trials: Sequence["Trial"], last: int | None = None
) -> str | None:
    """Tells why a search cannot go on, if it cannot.

    Args:
        trials: Trials that ended, in that order.
        last: How many of the last ones must have failed alike, for another
            reason than their settings. `None` for all, for any reason.

    Returns: The sentence, or `None` where some did not fail so.
    """
    counted = list(trials)[-last:] if last else list(trials)
    messages = [x.message or "" for x in counted if x.status == "FAILED"]
    if len(messages) < (last or len(counted)) or not messages:
        return None
    if last is None:
        return (
            f"CoarseToFine: all {len(messages)} trials of a stage failed, the "
            f"first one so: {messages[0]}"
        )
    if len(set(messages)) > 1 or messages[0].startswith(OF_THE_SETTINGS):
        return None
    return (
        f"CoarseToFine: {last} trials in a row failed alike, and so would the "
        f"others: {messages[0]}"
    )
