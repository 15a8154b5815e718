"""A search in TensorBoard's HParams dashboard.

TensorBoard shows one run for each trial, with its settings, its score over
the epochs, and how it ended. It reads what is new while it runs.

Reference: tensorboard.plugins.hparams, api.proto and plugin_data.proto.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from .search_record import RUNNING, SearchRecord, is_scored, read_search
from .trial_record import TrialRecord
from .tuned_parameter import TunedParameter

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.api import HParam

LOGGED = "search"  # the run that says what was searched


def log_hparams(
    folder: str | os.PathLike[str], log_dir: str | os.PathLike[str]
) -> int:
    """Writes the trials that have ended as runs for TensorBoard.

    Called again while the search goes on, it adds those that ended since.
    Any project of KerasTuner will do.

    Args:
        folder: The project folder: `directory` and `project_name` of the
            tuner, joined.
        log_dir: Where the runs are written, a folder for each trial; what
            `tensorboard --logdir` is given.

    Returns:
        The number of trials that were added.

    Raises:
        ValueError: The folder is not that of a search.

    Example:

    ```python
    log_hparams("searches/first", "logs/first")
    ```
    """
    folder, log_dir = Path(folder), Path(log_dir)
    record = read_search(folder)
    _write_run(log_dir / LOGGED, [(0, _experiment(record))])
    added = 0
    for trial in record.trials:
        run = log_dir / f"trial_{trial.trial_id}"
        if trial.status not in RUNNING and not run.exists():
            _write_run(run, _events(folder, record, trial))
            added += 1
    return added


def _experiment(record: SearchRecord) -> "Summary":
    """Says what was varied, and by what it was judged."""
    from tensorboard.plugins.hparams import api

    return api.hparams_config_pb(
        hparams=[_hparam(parameter) for parameter in record.parameters],
        metrics=[api.Metric(name) for name in _metrics(record.objective)],
        time_created_secs=0.0,
    )


def _metrics(objective: str) -> tuple[str, ...]:
    return objective, "epochs", "seconds"


def _hparam(parameter: TunedParameter) -> "HParam":
    from tensorboard.plugins.hparams import api

    if parameter.ends is None:
        kinds = {type(choice) for choice in parameter.choices}
        choices = parameter.choices if len(kinds) == 1 else ()
        # Choices of several kinds have no domain that TensorBoard knows.
        return api.HParam(
            parameter.name, api.Discrete(choices) if choices else None
        )
    low, high = parameter.ends
    if isinstance(low, int) and isinstance(high, int):
        return api.HParam(parameter.name, api.IntInterval(low, high))
    return api.HParam(parameter.name, api.RealInterval(low, float(high)))


def _events(
    folder: Path, record: SearchRecord, trial: TrialRecord
) -> list[tuple[int, "Summary"]]:
    """Pairs of an epoch and what TensorBoard is told there."""
    from tensorboard.plugins.hparams import api, api_pb2
    from tensorboard.plugins.hparams.summary import session_end_pb

    names = [parameter.name for parameter in record.parameters]
    values = {n: trial.values[n] for n in names if n in trial.values}
    ended = (
        api_pb2.STATUS_SUCCESS if is_scored(trial) else api_pb2.STATUS_FAILURE
    )
    objective, epochs, seconds = _metrics(record.objective)
    scores = _scores(folder, objective, trial)
    return [
        (0, api.hparams_pb(values, trial.trial_id, start_time_secs=0.0)),
        *((epoch, _scalar(objective, score)) for epoch, score in scores),
        (0, _scalar(epochs, trial.epochs)),
        (0, _scalar(seconds, trial.seconds)),
        (0, session_end_pb(ended, end_time_secs=trial.seconds)),
    ]


def _scalar(name: str, value: float) -> "Summary":
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=name, simple_value=value)])


def _scores(
    folder: Path, objective: str, trial: TrialRecord
) -> Iterable[tuple[int, float]]:
    """The objective by epoch, and in the end the score that was compared."""
    file = folder / f"trial_{trial.trial_id}" / "trial.json"
    metrics: Mapping[str, Any] = json.loads(file.read_text("utf-8"))["metrics"]
    history = metrics["metrics"].get(objective, {"observations": []})
    seen = [(s["step"], fmean(s["value"])) for s in history["observations"]]
    if not is_scored(trial):
        return seen
    last = max((step for step, _ in seen), default=-1)
    return [*seen, (last + 1, trial.score or 0.0)]


def _write_run(run: Path, summaries: Iterable[tuple[int, "Summary"]]) -> None:
    """Writes a run, which appears under its name when it is whole."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    partial = run.with_name(f".{run.name}.{os.getpid()}")
    writer = EventFileWriter(str(partial))
    for step, summary in summaries:
        event = Event(step=step)
        # Some are TensorFlow's messages, some TensorBoard's: equal on disk.
        event.summary.ParseFromString(summary.SerializeToString())
        writer.add_event(event)
    writer.close()
    if run.is_dir():
        _remove(run)
    partial.rename(run)


def _remove(run: Path) -> None:
    for file in run.iterdir():
        file.unlink()
    run.rmdir()
