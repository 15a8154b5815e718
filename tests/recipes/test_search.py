"""A search from photos to a kept model, on tiny photos and a tiny network."""

import dataclasses
import functools
import json
import os

import numpy as np
import pytest

from dropzoo import search
from dropzoo.models import create_model, starting_point
from dropzoo.recipes import evaluate, predict, searching
from dropzoo.recipes import search as recipe
from dropzoo.recipes.open_run import read_options
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.search import Config
from dropzoo.recipes.search_options import Looking, Machines, Photos

KEPT = {
    "config.json",
    "history.csv",
    "labels.json",
    "metrics.json",
    "model.keras",
    "report.html",
    "search",
    "search.html",
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    """Random weights that pass for trained ones: the features are random."""
    path = tmp_path_factory.mktemp("weights") / "tiny.weights.h5"
    create_model("tiny").save_weights(path)
    return str(path)


@pytest.fixture(scope="module")
def heads(split_photos, weights) -> dict:
    """A search of heads on the features of the tiny network."""
    return {
        "photos": Photos(data=str(split_photos)),
        "looking": Looking(
            model="tiny",
            weights=weights,
            space="freeze=all hidden_units=0 peak_rate=1e-3..1",
            stages="random,random",
            trials=6,
            epochs="2,4",
            refit_epochs=5,
        ),
        "seed": 1,
    }


@pytest.fixture(scope="module")
def finished(heads, tmp_path_factory) -> recipe.Result:
    out = tmp_path_factory.mktemp("runs") / "heads"
    return recipe.run(Config(**heads, out=str(out)))


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_folder_holds_an_ordinary_run_and_the_search(finished):
    assert {path.name for path in finished.folder.iterdir()} == KEPT


def test_the_best_trial_is_what_was_refitted(finished):
    trials = search.read_trials(finished.folder / "search")
    assert len(trials) == 6
    scores = [trial.score for trial in trials]
    assert finished.score == max(scores)
    metrics = read_json(finished.folder / "metrics.json")
    assert metrics["settings"] == finished.settings
    assert 1e-3 <= finished.settings["peak_rate"] <= 4  # widened at its edge
    assert metrics["model"]["name"] == "tiny"
    assert metrics["test"]["accuracy"] == finished.accuracy


def test_the_head_goes_with_features_as_they_are(finished):
    """The kept model, from raw photos, has the refit's validation accuracy."""
    result = evaluate.run(
        evaluate.Config(str(finished.folder), split="validation")
    )
    kept = read_json(finished.folder / "metrics.json")["validation_accuracy"]
    assert result.metrics.accuracy == pytest.approx(kept, abs=1e-6)
    assert kept > 0.4  # of three classes


def test_evaluating_the_run_finds_its_test_figures_again(finished):
    result = evaluate.run(evaluate.Config(str(finished.folder)))
    assert result.metrics.accuracy == finished.accuracy


def test_photos_can_be_named(finished, split_photos):
    photo = split_photos / "test" / "vertical" / "040.png"
    config = predict.Config(str(finished.folder), (str(photo),))
    (prediction,) = predict.run(config).predictions
    assert sum(share for _, share in prediction.classes) == pytest.approx(1)


def test_the_report_tells_what_was_found(finished):
    report = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert "The best of 6 trials had" in report
    assert "peak_rate" in report
    trials = (finished.folder / "search.html").read_text(encoding="utf-8")
    assert "The best of 6 trials had" in trials


@pytest.mark.slow(ci=True)
def test_few_photos_are_judged_by_folds_and_all_learned_from(
    heads, photos, tmp_path
):
    looking = dataclasses.replace(heads["looking"], trials=2)
    few = {**heads, "photos": Photos(data=str(photos)), "looking": looking}
    result = recipe.run(Config(**few, out=str(tmp_path / "run")))
    report = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "of the photos that 2 folds held out right" in report
    assert "Kept: epoch 5, the last one." in report
    metrics = read_json(result.folder / "metrics.json")
    assert metrics["validation_accuracy"] is None
    assert 1 / 3 < result.score <= 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_search(heads, finished, tmp_path):
    out = tmp_path / "again"
    again = recipe.run(Config(**heads, out=str(out)))
    assert (again.settings, again.score) == (finished.settings, finished.score)
    assert again.accuracy == finished.accuracy


def test_the_options_come_back_from_config_json(finished, heads):
    folder = RunFolder.open(finished.folder)
    read = read_options("search", Config, folder)
    assert folder.verb == "search"
    assert read.looking == heads["looking"]


@pytest.fixture
def in_this_process(monkeypatch):
    """Trials without a process of their own, which would take seconds."""
    here = functools.partial(search.CoarseToFine, in_process=True)

    def tuner(*arguments, in_process, **options):
        return here(*arguments, **options)

    monkeypatch.setattr(search, "CoarseToFine", tuner)


@pytest.mark.slow
def test_a_stopped_search_of_networks_goes_on(
    split_photos, in_this_process, tmp_path, monkeypatch
):
    looking = Looking(
        model="tiny",
        weights="random",
        space="hidden_units=0 augmentation=none dropconnect=0 "
        "peak_rate=1e-2..1e-1",
        stages="random",
        trials=2,
        epochs="1",
        batch_size=20,
    )
    photos = Photos(data=str(split_photos))
    out = str(tmp_path / "run")

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dropzoo.recipes.searching.NetworkSearch.refit", stop)
        with pytest.raises(KeyboardInterrupt, match="search --resume"):
            recipe.run(Config(photos=photos, looking=looking, out=out))
    before = search.read_trials(tmp_path / "run" / "search")
    result = recipe.run(Config(resume=out))
    after = search.read_trials(tmp_path / "run" / "search")
    assert [x.score for x in after] == [x.score for x in before]
    assert {path.name for path in result.folder.iterdir()} == KEPT
    assert result.settings["backbone"] == "tiny"
    model = starting_point.load_saved_model(result.folder / "model.keras")
    assert model(np.zeros((1, 9, 9, 3), "uint8")).shape == (1, 3)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--space", "peak_rat=1"], "did you mean `peak_rate`"),
        (["--space", "peak_rate=1e-1..1e-3"], "must begin below its end"),
        (["--space", "dropout=lots"], "must be a number, several"),
        (["--model", "resnet5"], "must be a model of the catalogue"),
        (["--model", "lenet5"], "`weights` must be None, a tag that lenet5"),
        (["--trials", "0"], "`trials` must be at least 1"),
        (["--workers", "0"], "`workers` must be at least 1"),
        (["--epochs", "3"], "`epochs` must be a whole number for each of"),
        (["--epochs", "1,x"], "Received: epochs='1,x'"),
        (["--seed", "-1"], "`seed` must be in [0, 2**31)"),
        (["--worker"], "`worker` needs the address of the `chief`"),
        (["--trails", "3"], "did you mean `--trials`"),
    ],
)
def test_what_cannot_be_is_refused_at_once(words, sentence, refusal):
    assert sentence in refusal("search", *words)


def test_photos_without_validation_are_refused(heads):
    class NoneHeldOut:
        validation = None

    networks = dataclasses.replace(heads["looking"], space="")
    with pytest.raises(ValueError, match="there must be validation photos"):
        searching.choose_subject(
            networks, heads["photos"], NoneHeldOut(), 0, None
        )


def test_a_chief_and_a_worker_know_each_other_only_in_the_search(monkeypatch):
    monkeypatch.delenv("KERASTUNER_TUNER_ID", raising=False)
    for worker, name in ((False, "chief"), (True, "worker-")):
        with recipe._shared(Machines(chief="10.0.0.5:9000", worker=worker)):
            assert os.environ["KERASTUNER_TUNER_ID"].startswith(name)
            assert os.environ["KERASTUNER_ORACLE_PORT"] == "9000"
        assert "KERASTUNER_TUNER_ID" not in os.environ
