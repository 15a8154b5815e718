"""The verb that trains in cycles, on tiny photos."""

import csv
import json

import keras
import numpy as np
import pytest
from PIL import Image

from dropzoo import cli
from dropzoo.models.portability import why_not_portable
from dropzoo.recipes import evaluate, snapshot_ensemble
from dropzoo.recipes.snapshot_answers import SINGLE, Answers
from dropzoo.recipes.snapshot_ensemble import Config
from dropzoo.recipes.train_options import Photos, Training


@pytest.fixture(scope="module")
def finished(split_photos, tmp_path_factory):
    """A run that was stopped once, behind its trainings."""

    def stop(*arguments):
        raise KeyboardInterrupt

    out = str(tmp_path_factory.mktemp("runs") / "cycles")
    config = Config(
        cycles=2,
        single=True,
        photos=Photos(data=str(split_photos), augmentation="none"),
        training=Training(model="tiny", epochs=4, batch_size=20, rate=0.02),
        out=out,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Answers, "collect", stop)
        with pytest.raises(
            KeyboardInterrupt, match="dropzoo snapshot --resume"
        ):
            snapshot_ensemble.run(config)
    return snapshot_ensemble.run(Config(resume=out))


@pytest.fixture(scope="module")
def metrics(finished):
    return json.loads((finished.folder / "metrics.json").read_text())


@pytest.fixture
def test_photos(split_photos):
    files = sorted((split_photos / "test").glob("*/*.png"))
    photos = []
    for file in files:
        with Image.open(file) as photo:
            photos.append(np.asarray(photo))
    names = [file.parent.name for file in files]
    return np.stack(photos), np.unique(names, return_inverse=True)[1]


def test_the_folder_of_a_resumed_run_has_everything(finished):
    assert {path.name for path in finished.folder.iterdir()} == {
        "config.json",
        "history.csv",
        "labels.json",
        "metrics.json",
        "model.keras",
        "report.html",
        "snapshots.png",
    }
    with (finished.folder / "history.csv").open(newline="") as file:
        phases = [row["phase"] for row in csv.DictReader(file)]
    assert phases == ["cycles"] * 4 + [SINGLE] * 4


def test_snapshots_ensembles_and_the_single_run_are_compared(metrics):
    contenders = {x["name"]: x for x in metrics["ensemble"]["contenders"]}
    assert list(contenders) == [
        "snapshot 1 (epoch 2)",
        "snapshot 2 (epoch 4)",
        "last 2 together",
        SINGLE,
    ]
    candidates = ["snapshot 2 (epoch 4)", "last 2 together"]
    losses = {name: contenders[name]["validation_loss"] for name in candidates}
    assert metrics["ensemble"]["kept"] == min(losses, key=losses.get)


def test_the_kept_model_gives_what_was_measured(finished, metrics, test_photos):
    photos, labels = test_photos
    model = keras.saving.load_model(finished.folder / "model.keras")
    assert why_not_portable(model) == {}
    answers = model.predict(photos, verbose=0).argmax(axis=1)
    assert metrics["test"]["accuracy"] == (answers == labels).mean()
    kept = metrics["ensemble"]["kept"]
    (error,) = (
        x["test_error"]
        for x in metrics["ensemble"]["contenders"]
        if x["name"] == kept
    )
    assert error == pytest.approx(1 - metrics["test"]["accuracy"])
    assert finished.accuracy == metrics["test"]["accuracy"]


def test_evaluate_finds_the_figures_of_the_run(finished, metrics):
    result = evaluate.run(evaluate.Config(str(finished.folder)))
    kept = metrics["test"]
    assert result.metrics.accuracy == kept["accuracy"]
    assert result.metrics.negative_log_likelihood == pytest.approx(
        kept["negative_log_likelihood"], rel=1e-4
    )


def test_predict_names_photos(finished, split_photos, capsys):
    photo = next((split_photos / "test" / "vertical").glob("*.png"))
    words = ["predict", str(finished.folder), str(photo), "--json"]
    assert cli.main(words) == 0
    (told,) = json.loads(capsys.readouterr().out)["photos"]
    assert sum(x["probability"] for x in told["predictions"]) == pytest.approx(
        1
    )


def test_the_published_training_is_that_of_the_paper():
    paper = Config(published=True).paper
    schedule = paper.schedule(paper.rate, 600)
    assert (paper.model, paper.epochs, paper.cycles) == ("densenet40", 300, 6)
    assert schedule.get_config() == {
        "initial_learning_rate": 0.2,
        "decay_steps": 600,
        "num_cycles": 6,
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--cycles=0"], "`cycles` must be at least 1"),
        (["--keep=0"], "`keep` must be at least 1"),
        (["--epochs=9"], "`epochs` must be a multiple of the 5 cycles"),
        (["--budget=0"], "`budget` must be in (0, 1]"),
        (["--rate=0"], "`rate` must be above 0"),
        (["--weight-decay=-1"], "`weight_decay` must be at least 0"),
        (["--seed=-1"], "`seed` must be in [0, 2**31)"),
        (["--preview=a.jpg"], "`preview` must be a file that ends in .png"),
        (["--cycle=2"], "did you mean `--cycles`?"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, capsys):
    with pytest.raises(SystemExit, match="2"):
        snapshot_ensemble.main(words)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("dropzoo snapshot: ")
    assert sentence in line
