"""Opening what a run has kept, and refusing what is damaged."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dropzoo.models import ensemble
from dropzoo.recipes.trained_run import TrainedRun


@pytest.fixture
def copied_run(tuned_run, tmp_path) -> Path:
    return shutil.copytree(tuned_run.folder, tmp_path / "run")


def test_the_model_and_its_classes_are_there(tuned_run):
    trained = TrainedRun.open(str(tuned_run.folder))
    assert trained.class_names == ("horizontal", "slanted", "vertical")
    photo = np.zeros((1, 50, 20, 3), "uint8")
    assert trained.model(photo).shape == (1, 3)
    assert trained.network.name == "tiny"


def test_an_ensemble_gives_the_logarithms_of_its_probabilities(tuned_run):
    trained = TrainedRun.open(str(tuned_run.folder))
    both = ensemble([trained.model, trained.model])
    network = dataclasses.replace(trained, model=both).network
    photo = np.random.default_rng(0).integers(256, size=(2, 32, 32, 3))
    shares = trained.model(photo.astype("uint8"))
    np.testing.assert_allclose(
        np.exp(network(photo.astype("uint8"))), shares, rtol=1e-5
    )


def test_no_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no run in"):
        TrainedRun.open(str(tmp_path))


@pytest.mark.parametrize("name", ["model.keras", "labels.json"])
def test_a_missing_file_is_refused(copied_run, name):
    (copied_run / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no `{name}`"):
        TrainedRun.open(str(copied_run))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_a_damaged_model_is_refused(copied_run, content):
    (copied_run / "model.keras").write_bytes(content)
    with pytest.raises(ValueError, match="is damaged, or is not a Keras"):
        TrainedRun.open(str(copied_run))


@pytest.mark.parametrize(
    "labels", [["a", "b"], ["a", "b", 3], {"a": 1, "b": 2, "c": 3}, "abc"]
)
def test_labels_of_another_model_are_refused(copied_run, labels):
    (copied_run / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(ValueError, match="a list of the 3 class names"):
        TrainedRun.open(str(copied_run))
