import json
from pathlib import Path

import keras_tuner
import pytest

from dropzoo.search.search_record import SearchRecord, read_search
from dropzoo.search.trial_record import TrialRecord


class Search(keras_tuner.RandomSearch):
    """A search without networks, which gives known metrics."""

    def run_trial(self, trial, metrics):
        hp = trial.hyperparameters
        rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
        if hp.Choice("kind", ["a", "b"]) == "a":
            with hp.conditional_scope("kind", ["a"]):
                hp.Float("momentum", 0.0, 0.9)
        return metrics(rate)


def run(folder, objective, metrics) -> Path:
    search = Search(
        objective=objective,
        max_trials=4,
        seed=1,
        directory=folder,
        project_name="p",
        max_consecutive_failed_trials=9,
    )
    search.search(metrics)
    return folder / "p"


def test_what_was_varied_and_judged_by_is_read(tmp_path):
    folder = run(
        tmp_path,
        keras_tuner.Objective("val_loss", "min"),
        lambda rate: {"loss": rate, "val_loss": rate, "val_accuracy": rate / 2},
    )
    record = read_search(folder)
    assert [p.name for p in record.parameters] == ["rate", "kind", "momentum"]
    assert (record.objective, record.maximized) == ("val_loss", False)
    scores = [trial.score for trial in record.scored]
    assert scores == sorted(scores) and len(scores) == 4
    assert record.failed == [] and list(record.stages) == []


def test_a_score_that_no_metric_gives_is_called_score(tmp_path):
    objective = keras_tuner.Objective("val_accuracy", "max")
    folder = run(tmp_path, objective, lambda rate: {"val_accuracy": rate})
    assert read_search(folder).objective == "val_accuracy"
    for file in folder.glob("trial_*/trial.json"):
        state = json.loads(file.read_text())
        file.write_text(json.dumps({**state, "score": state["score"] + 1}))
    record = read_search(folder)
    assert (record.objective, record.maximized) == ("score", False)


def test_the_stages_of_a_coarse_to_fine_search_are_read(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-3, 1e-2, sampling="log")
    space = hp.get_config()["space"]
    stage = {"kind": "random", "epochs": 2, "space": space}
    state = {"hyperparameters": {"space": space}, "stages": [stage, stage]}
    (tmp_path / "oracle.json").write_text(json.dumps(state))
    record = read_search(tmp_path)
    assert [stage.epochs for stage in record.stages] == [2, 2]
    assert record.stages[0].parameters[0].ends == (1e-3, 1e-2)
    assert record.scored == []


def test_trials_without_a_finite_score_come_apart():
    def trial(name, score, status):
        return TrialRecord(name, 1, {}, score, status, 1, 1.0, None)

    trials = [
        trial("0", 0.1, "COMPLETED"),
        trial("1", float("nan"), "COMPLETED"),
        trial("2", None, "FAILED"),
        trial("3", None, "RUNNING"),
        trial("4", 0.9, "STOPPED"),
    ]
    record = SearchRecord(trials, [], "val_accuracy", True)
    assert [t.trial_id for t in record.scored] == ["4", "0"]
    assert [t.trial_id for t in record.failed] == ["1", "2"]


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="folder of a KerasTuner search"):
        read_search(tmp_path)
