"""Written event files, as TensorBoard's own reader and dashboard see them."""

import keras_tuner
import pytest
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)
from tensorboard.plugins.hparams import api_pb2, metadata

from dropzoo.search import log_hparams


class Search(keras_tuner.RandomSearch):
    """A search without networks, whose failures are known."""

    def run_trial(self, trial):
        hp = trial.hyperparameters
        rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
        hp.Int("units", 8, 64)
        hp.Boolean("wide")
        if hp.Choice("kind", ["a", "b"]) == "b":
            raise keras_tuner.errors.FailedTrialError("kind b")
        return {"val_accuracy": rate}


def search(folder, max_trials):
    Search(
        objective=keras_tuner.Objective("val_accuracy", "max"),
        max_trials=max_trials,
        seed=3,
        directory=folder,
        project_name="p",
        max_consecutive_failed_trials=99,
    ).search()
    return folder / "p"


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The project, its logs, and how many trials each of two calls added."""
    folder = tmp_path_factory.mktemp("search")
    added = []
    for max_trials in (4, 6):
        project = search(folder, max_trials)
        added.append(log_hparams(project, folder / "logs"))
    return project, folder / "logs", added


def read(run):
    reader = EventAccumulator(str(run))
    reader.Reload()
    return reader, reader.PluginTagToContent(metadata.PLUGIN_NAME)


def test_what_was_varied_is_told_with_its_domain(logged):
    _, logs, _ = logged
    _, content = read(logs / "search")
    told = metadata.parse_experiment_plugin_data(
        content[metadata.EXPERIMENT_TAG]
    )
    infos = {info.name: info for info in told.hparam_infos}
    assert set(infos) == {"rate", "units", "wide", "kind"}
    assert infos["rate"].domain_interval.max_value == 0.1
    assert infos["units"].domain_interval.min_value == 8
    assert [v.string_value for v in infos["kind"].domain_discrete.values] == [
        "a",
        "b",
    ]
    metrics = [info.name.tag for info in told.metric_infos]
    assert metrics == ["val_accuracy", "epochs", "seconds"]


def test_every_trial_is_a_run_with_its_settings_its_score_and_its_end(logged):
    project, logs, _ = logged
    ends = []
    for run in sorted(logs.glob("trial_*")):
        reader, content = read(run)
        start = metadata.parse_session_start_info_plugin_data(
            content[metadata.SESSION_START_INFO_TAG]
        )
        end = metadata.parse_session_end_info_plugin_data(
            content[metadata.SESSION_END_INFO_TAG]
        )
        ends.append(end.status)
        kind = start.hparams["kind"].string_value
        rate = start.hparams["rate"].number_value
        scored = "val_accuracy" in reader.Tags()["scalars"]
        if kind == "b":
            assert end.status == api_pb2.STATUS_FAILURE
            assert not scored
        else:
            assert end.status == api_pb2.STATUS_SUCCESS
            last = reader.Scalars("val_accuracy")[-1]
            assert last.value == pytest.approx(rate)
        assert f"trial_{start.group_name}" == run.name
    assert len(ends) == 6 and len(set(ends)) == 2


def test_a_growing_search_adds_only_what_is_new(logged):
    project, logs, added = logged
    assert added == [4, 2]
    assert log_hparams(project, logs) == 0
    runs = {run.name for run in logs.iterdir()}
    assert runs == {"search", *(f"trial_{i}" for i in range(6))}
    assert all(len(list(run.iterdir())) == 1 for run in logs.iterdir())


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="folder of a KerasTuner search"):
        log_hparams(tmp_path, tmp_path / "logs")
