"""Training from scratch, end to end, on tiny photos and a tiny network."""

import csv
import dataclasses
import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from dropzoo.callbacks import ProgressBar
from dropzoo.callbacks.sanity_failure import SanityFailure
from dropzoo.models import starting_point
from dropzoo.recipes import evaluate, predict, preview, train
from dropzoo.recipes.open_run import read_options
from dropzoo.recipes.papers import PAPERS
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.train import Config
from dropzoo.recipes.train_options import Machine, Photos, Training

FILES = {
    "config.json",
    "history.csv",
    "labels.json",
    "metrics.json",
    "model.keras",
    "report.html",
}


@pytest.fixture(scope="module")
def options(split_photos) -> dict:
    """The tiny network, which learns stripes in a few epochs."""
    return {
        "photos": Photos(data=str(split_photos), augmentation="shift,mixup"),
        "training": Training(model="tiny", epochs=4, batch_size=20, rate=0.05),
        "seed": 1,
    }


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory) -> train.Result:
    out = tmp_path_factory.mktemp("runs") / "finished"
    picture = out.with_suffix(".png")
    photos = dataclasses.replace(options["photos"], preview=str(picture))
    config = Config(**{**options, "photos": photos, "out": str(out)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preview, "ROWS", 2)
        patch.setattr(preview, "COLUMNS", 2)
        return train.run(config)


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def saved_weights(folder):
    model = starting_point.load_saved_model(folder / "model.keras")
    return starting_point.network_of(model).get_weights()


def test_the_folder_holds_the_six_files_and_nothing_else(finished):
    assert {path.name for path in finished.folder.iterdir()} == FILES


def test_the_network_has_learned_something(finished):
    metrics = read_json(finished.folder / "metrics.json")
    assert metrics["test"]["accuracy"] == finished.accuracy
    assert finished.accuracy > 0.6  # of three classes, on 24 photos
    assert metrics["seconds"] == finished.seconds
    assert metrics["plan"]["augmentation"] == ["shift", "mixup"]
    assert metrics["plan"]["model"] == metrics["model"]["name"] == "tiny"


def test_the_best_epoch_on_validation_photos_is_kept(finished):
    with (finished.folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    scores = [float(row["val_accuracy"]) for row in rows]
    assert len(rows) == 4
    assert finished.kept_epoch == scores.index(max(scores)) + 1
    result = evaluate.run(
        evaluate.Config(str(finished.folder), split="validation")
    )
    assert result.metrics.accuracy == pytest.approx(max(scores), abs=1e-6)


def test_evaluating_the_run_finds_its_test_figures_again(finished):
    result = evaluate.run(evaluate.Config(str(finished.folder)))
    assert result.metrics.accuracy == finished.accuracy
    assert result.remarks == ()


def test_photos_can_be_named(finished, split_photos):
    photo = split_photos / "test" / "vertical" / "040.png"
    config = predict.Config(str(finished.folder), (str(photo),))
    (prediction,) = predict.run(config).predictions
    assert sum(share for _, share in prediction.classes) == pytest.approx(1)


def test_the_options_come_back_from_config_json(finished):
    folder = RunFolder.open(finished.folder)
    read = read_options("train", Config, folder)
    assert folder.verb == "train"
    assert read.training.rate == 0.05
    assert read.out == str(finished.folder)


def test_the_preview_is_a_picture(finished):
    picture = finished.folder.with_suffix(".png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_report_tells_plan_and_rate(finished):
    report = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert "tiny from scratch" in report
    assert "An update sees 20 photos; rate 0.05." in report
    assert "Learning rate" in report


@pytest.fixture(scope="module")
def stopped(options, tmp_path_factory):
    """A run that Ctrl-C stops in its second epoch, and another whole one."""
    folder = tmp_path_factory.mktemp("stopped")

    advance = ProgressBar.on_train_batch_end
    batches = iter(range(1, 100))

    def stop_at_the_fifth(self, batch, logs=None):
        advance(self, batch, logs)
        if next(batches) == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgressBar, "on_train_batch_end", stop_at_the_fifth)
        stopped = Config(**options, out=str(folder / "stopped"))
        with pytest.raises(KeyboardInterrupt, match="train --resume"):
            train.run(stopped)
        before = sorted(path.name for path in (folder / "stopped").iterdir())
        result = train.run(Config(resume=str(folder / "stopped")))
    return before, result


@pytest.mark.slow(ci=True)
def test_a_stopped_run_ends_as_one_left_alone(stopped, finished):
    before, result = stopped
    assert before == [".state", "config.json"]
    assert {path.name for path in result.folder.iterdir()} == FILES
    assert result.accuracy == finished.accuracy
    pairs = zip(
        saved_weights(result.folder),
        saved_weights(finished.folder),
        strict=True,
    )
    for ours, theirs in pairs:
        # To the bit where `set_deterministic` is on; sums over threads have
        # no fixed order otherwise.
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_complete_run_is_not_resumed(finished, refusal):
    sentence = refusal("train", "--resume", str(finished.folder))
    assert "must be a run that was stopped" in sentence


def test_other_options_beside_resume_are_refused(finished, refusal):
    words = "--resume", str(finished.folder), "--epochs", "3"
    assert "no other option" in refusal("train", *words)


def test_a_run_of_another_recipe_is_not_resumed(tuned_run, refusal):
    sentence = refusal("train", "--resume", str(tuned_run.folder))
    assert "does not hold the options of `dropzoo train`" in sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--budget", "0"], "`budget` must be in (0, 1]"),
        (["--budget", "2"], "`budget` must be in (0, 1]"),
        (["--epochs", "0"], "`epochs` must be at least 1"),
        (["--devices", "0"], "`devices` must be at least 1"),
        (["--rate", "0"], "`rate` must be above 0"),
        (["--weight-decay", "-1"], "`weight_decay` must be at least 0"),
        (["--seed", "-1"], "`seed` must be in [0, 2**31)"),
        (["--preview", "x.jpg"], "must be a file that ends in .png"),
        (["--paper", "dropout"], "stochastic-depth"),
        (["--batchsize", "3"], "did you mean `--batch-size`"),
        (["--data", "nowhere/at/all"], "there is no folder"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    words, sentence, refusal, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert sentence in refusal("train", *words)
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--augmentation", "shfit"], "did you mean 'shift'"),
        (["--devices", "4"], "`devices` must be at most 1"),
        (["--accumulate", "3"], "multiple of `devices` times `accumulate`"),
        (["--model", "resnet21"], "must be a model of the catalogue"),
    ],
)
def test_what_the_plan_refuses_leaves_no_folder(
    words, sentence, refusal, tmp_path, split_photos
):
    out = tmp_path / "run"
    words = ["--data", str(split_photos), "--out", str(out), *words]
    if "--model" not in words:
        words += ["--model", "tiny"]
    assert sentence in refusal("train", *words)
    assert not out.exists()


def test_without_options_everything_is_embedded():
    decided = Config().decided()
    assert decided.photos.data == "digits"
    assert Config(paper="dropconnect").decided().photos.data == "tfds:mnist"
    assert Config(photos=Photos(data="x")).decided().photos.data == "x"


@pytest.mark.slow(ci=True)
def test_accumulated_steps_are_one_update(options, tmp_path, finished):
    machine = Machine(accumulate=2)
    result = train.run(
        Config(
            **{
                **options,
                "machine": machine,
                "training": dataclasses.replace(options["training"], epochs=1),
                "out": str(tmp_path / "run"),
            }
        )
    )
    metrics = read_json(result.folder / "metrics.json")
    assert "20 photos (2 steps x 10);" in metrics["plan"]["notes"][-1]


def test_help_needs_no_tensorflow():
    source = (
        "import sys; from dropzoo import cli\n"
        "try: cli.main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "set()"
    assert "--budget" in done.stdout


def test_what_cannot_be_learned_is_refused(
    options, tmp_path, monkeypatch, capsys
):
    failures = [
        SanityFailure("x", "It is unusual.", fatal=False),
        SanityFailure("y", "It is broken.", fatal=True),
    ]
    monkeypatch.setattr(
        "dropzoo.recipes.training.sanity_failures",
        lambda *arguments, **options: failures,
    )
    out = tmp_path / "run"
    with pytest.raises(ValueError, match="^train: It is broken.$"):
        train.run(Config(**options, out=str(out)))
    assert "warning: It is unusual." in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPERS)
def test_every_paper_runs_on_a_tiny_budget(name, tmp_path):
    paper = PAPERS[name]
    result = train.run(
        Config(
            paper=name,
            budget=1e-6,
            photos=Photos(data="digits", limit=60),
            training=Training(epochs=paper.cycles),
            out=str(tmp_path / "run"),
        )
    )
    metrics = read_json(result.folder / "metrics.json")
    assert metrics["plan"]["model"] == paper.model
    assert np.isfinite(metrics["test"]["negative_log_likelihood"])
    assert {path.name for path in result.folder.iterdir()} == FILES
