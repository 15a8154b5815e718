"""What a search has tried, read from the files that KerasTuner writes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TUNER = "tuner/"  # KerasTuner's prefix of values that the tuner itself sets
MEASURED = "seconds.json"  # beside trial.json, which so repeats to the byte


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a search.

    Args:
        trial_id: Its number as KerasTuner writes it, such as `"07"`.
        stage: Which stage of the search it belongs to, from 1 on.
        values: What was tried, by name; a parameter whose condition was not
            met is absent.
        score: Its objective; `None` while it runs and where it failed.
        status: KerasTuner's: `"RUNNING"`, `"COMPLETED"`, `"INVALID"` or
            `"FAILED"`; `"STOPPED"` where a hopeless trial was ended early.
        epochs: Number of epochs that it ran, or 0 where nothing tells.
        seconds: How long it took, or 0 where nothing tells.
        message: Why it failed or was stopped, if it did.
        planned_epochs: Number of epochs that the tuner set for it, or 0 where
            it set none; more than `epochs` where it was ended early.
    """

    trial_id: str
    stage: int
    values: dict[str, Any]
    score: float | None
    status: str
    epochs: int
    seconds: float
    message: str | None
    planned_epochs: int = 0


def read_trials(project: str | Path) -> list[TrialRecord]:
    """Reads the trials of any KerasTuner search.

    Args:
        project: The folder of the search, `directory/project_name`.

    Returns: The trials in the order of their numbers.

    Raises: ValueError where the folder is not that of a search.
    """
    project = Path(project)
    if not (project / "oracle.json").is_file():
        raise ValueError(
            "read_trials: `project` must be the folder of a KerasTuner "
            "search, which holds an oracle.json. "
            f"Received: project={str(project)!r}"
        )
    files = project.glob("trial_*/trial.json")
    return sorted(
        (_read_trial(file) for file in files), key=lambda x: x.trial_id
    )


def tried_values(values: dict[str, Any]) -> dict[str, Any]:
    """The values without those that the tuner itself sets.

    Args:
        values: Those of a trial's hyperparameters.
    """
    return {k: v for k, v in values.items() if not k.startswith(TUNER)}


def _read_trial(file: Path) -> TrialRecord:
    state = json.loads(file.read_text(encoding="utf-8"))
    values = state["hyperparameters"]["values"]
    return TrialRecord(
        trial_id=state["trial_id"],
        stage=values.get(f"{TUNER}stage", 1),
        values=tried_values(values),
        score=state["score"],
        status=_status(state),
        epochs=_epochs(state, values),
        seconds=_seconds(file.with_name(MEASURED)),
        message=state["message"],
        planned_epochs=values.get(f"{TUNER}epochs", 0),
    )


def _status(state: dict[str, Any]) -> str:
    """KerasTuner's status, but for a trial with a score that was cut short."""
    if state["status"] == "COMPLETED" and state["message"]:
        return "STOPPED"
    return state["status"]


def _epochs(state: dict[str, Any], values: dict[str, Any]) -> int:
    """Epochs with a score; KerasTuner's own tuners write down the best only."""
    histories = state["metrics"]["metrics"].values()
    seen = max((len(x["observations"]) for x in histories), default=0)
    if f"{TUNER}stage" in values or seen > 1:
        return seen
    return values.get(f"{TUNER}epochs", 0) if seen else 0


def _seconds(file: Path) -> float:
    if not file.is_file():
        return 0.0
    return json.loads(file.read_text(encoding="utf-8"))["seconds"]
