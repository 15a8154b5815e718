import json

import keras_tuner
import pytest

from dropzoo.search.trial_record import read_trials


class Parabola(keras_tuner.RandomSearch):
    """Finds the top of a parabola; fails in its left half."""

    def run_trial(self, trial, *args, **kwargs):
        x = trial.hyperparameters.Float("x", -1.0, 1.0)
        if x < -0.5:
            raise keras_tuner.errors.FailedTrialError("left")
        return {"height": 1 - x**2}


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    tuner = Parabola(
        objective=keras_tuner.Objective("height", "max"),
        max_trials=12,
        seed=1,
        directory=tmp_path_factory.mktemp("searches"),
        project_name="parabola",
        max_consecutive_failed_trials=12,
    )
    tuner.search(verbose=0)
    return tuner


def test_records_are_what_the_tuner_holds(search):
    records = read_trials(search.project_dir)
    trials = search.oracle.trials
    assert [x.trial_id for x in records] == sorted(trials)
    for record in records:
        trial = trials[record.trial_id]
        assert record.values == trial.hyperparameters.values
        assert record.score == trial.score
        assert record.status == trial.status
        assert record.message == trial.message
        assert record.stage == 1
    assert {x.status for x in records} == {"COMPLETED", "FAILED"}


def write_trial(project, number, **changes):
    state = {
        "trial_id": number,
        "hyperparameters": {"space": [], "values": {"rate": 0.1}},
        "metrics": {"metrics": {}},
        "score": None,
        "best_step": 0,
        "status": "RUNNING",
        "message": None,
    }
    folder = project / f"trial_{number}"
    folder.mkdir()
    (folder / "trial.json").write_text(json.dumps(state | changes))
    return folder


@pytest.fixture
def project(tmp_path):
    (tmp_path / "oracle.json").write_text("{}")
    return tmp_path


def test_stage_epochs_and_seconds_are_read(project):
    seen = [{"value": [0.5], "step": epoch} for epoch in range(3)]
    values = {"r": 1, "tuner/stage": 2, "tuner/epochs": 5}
    folder = write_trial(
        project,
        "04",
        hyperparameters={"space": [], "values": values},
        metrics={"metrics": {"acc": {"observations": seen}}},
        score=0.5,
        status="COMPLETED",
    )
    (folder / "seconds.json").write_text('{"seconds": 1.5}')
    (record,) = read_trials(project)
    assert record.values == {"r": 1}
    assert (record.stage, record.epochs, record.seconds) == (2, 3, 1.5)
    assert record.planned_epochs == 5


def test_epochs_of_hyperband_are_those_that_it_set(project):
    seen = {"acc": {"observations": [{"value": [0.5], "step": 2}]}}
    values = {"tuner/epochs": 9, "tuner/bracket": 1}
    write_trial(
        project,
        "0001",
        hyperparameters={"space": [], "values": values},
        metrics={"metrics": seen},
        status="COMPLETED",
        score=0.5,
    )
    (record,) = read_trials(project)
    assert (record.epochs, record.values) == (9, {})


def test_a_score_with_a_message_was_cut_short(project):
    write_trial(project, "0", status="COMPLETED", score=0.1, message="hopeless")
    write_trial(project, "1", status="FAILED", message="no memory")
    write_trial(project, "2")
    found = [x.status for x in read_trials(project)]
    assert found == ["STOPPED", "FAILED", "RUNNING"]


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds an oracle.json"):
        read_trials(tmp_path)
