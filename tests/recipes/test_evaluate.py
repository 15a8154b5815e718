"""Measuring a run: on its own photos, and on others."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from dropzoo import cli
from dropzoo.evaluation import evaluate_probabilities
from dropzoo.recipes import evaluate


def run(tuned_run, **options) -> evaluate.Result:
    return evaluate.run(evaluate.Config(str(tuned_run.folder), **options))


@pytest.fixture
def make_photos(tmp_path, split_photos):
    """Copies test photos of the run into a folder, under other class names."""

    def make(names: dict[str, str]) -> Path:
        for original, name in names.items():
            source = split_photos / "test" / original
            shutil.copytree(source, tmp_path / "photos" / name)
        return tmp_path / "photos"

    return make


@pytest.fixture
def copied_run(tuned_run, tmp_path) -> Path:
    """A run of one's own, to do harm to."""
    return shutil.copytree(tuned_run.folder, tmp_path / "copied run")


def test_the_runs_own_test_photos_give_the_figures_of_the_run(tuned_run):
    result = run(tuned_run)
    kept = json.loads((tuned_run.folder / "metrics.json").read_text())
    assert result.metrics.to_dict() == kept["test"]
    assert result.measured_on.startswith("the test split of split-photos")
    assert result.unknown == {}


def test_nothing_is_written_into_the_run(tuned_run):
    def listing():
        files = sorted(tuned_run.folder.rglob("*"))
        return [(file, file.stat().st_mtime_ns) for file in files]

    before = listing()
    run(tuned_run)
    assert listing() == before


def test_the_tables_tell_the_figures(tuned_run, capsys):
    assert cli.main(["evaluate", str(tuned_run.folder)]) == 0
    output = capsys.readouterr()
    assert f"accuracy           {tuned_run.accuracy:.1%}" in output.out
    assert "95 % interval" in output.out
    assert "calibration error" in output.out
    assert "top-5" not in output.out  # of three classes
    rows = [line.split() for line in output.out.splitlines()[-3:]]
    assert [row[0] for row in rows] == ["horizontal", "slanted", "vertical"]
    assert [row[-1] for row in rows] == ["8", "8", "8"]
    assert "24 photos of the test split" in output.err


def test_json_is_all_that_is_on_standard_output(
    tuned_run, split_photos, capsys
):
    assert cli.main(["evaluate", str(tuned_run.folder), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    kept = json.loads((tuned_run.folder / "metrics.json").read_text())
    assert answer == kept["test"] | {
        "measured_on": f"the test split of {split_photos.name}",
        "unknown": {},
        "rejected": [],
        "duplicates": [],
        "remarks": [],
    }


def test_json_tells_what_was_left_out(tuned_run, make_photos, capsys):
    folder = make_photos({"vertical": "vertical", "slanted": "zebra"})
    (folder / "vertical" / "bad.png").write_bytes(b"")
    first = min((folder / "vertical").glob("0*.png"))
    shutil.copy(first, folder / "vertical" / "copy.png")
    words = str(tuned_run.folder), "--data", str(folder), "--json"
    assert cli.main(["evaluate", *words]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["measured_on"] == folder.name
    assert answer["unknown"] == {"zebra": 8}
    assert answer["rejected"] == [
        {"name": "vertical/bad.png", "reason": "the file is empty"}
    ]
    assert answer["duplicates"] == [
        {
            "name": "vertical/copy.png",
            "split": "train",
            "kept": f"vertical/{first.name}",
            "kept_split": "train",
        }
    ]
    assert len(answer["remarks"]) == 3


def test_another_split_can_be_measured(tuned_run):
    assert run(tuned_run, split="train").metrics.num_examples == 60


def test_the_runs_source_by_name_means_its_test_split(
    tuned_run, split_photos, tmp_path, monkeypatch
):
    (tmp_path / "link").symlink_to(split_photos)
    monkeypatch.chdir(split_photos.parent)
    monkeypatch.setenv("HOME", str(split_photos.parent))
    for name in (
        f"folder:{split_photos}",
        f"{split_photos}/",
        f"folder:./{split_photos.name}",
        f"~/{split_photos.name}",
        f"folder:{tmp_path}/link",
    ):
        result = run(tuned_run, data=name)
        assert result.measured_on.startswith("the test split of")
        assert result.metrics.num_examples == 24


def test_classes_of_other_photos_are_matched_by_name(tuned_run, make_photos):
    # In this folder "vertical" has the label 0 and "zebra" the label 1.
    folder = make_photos({"vertical": "vertical", "slanted": "zebra"})
    result = run(tuned_run, data=str(folder))
    model = keras.saving.load_model(tuned_run.folder / "model.keras")
    predicted = [
        int(np.argmax(model(np.array(Image.open(file))[np.newaxis])[0]))
        for file in sorted((folder / "vertical").iterdir())
    ]
    support = [scores.support for scores in result.metrics.per_class]
    assert support == [0, 0, 8]
    assert result.metrics.accuracy == np.mean(np.equal(predicted, 2))
    assert result.metrics.confusion.sum(axis=1).tolist() == [0, 0, 8]
    assert result.unknown == {"zebra": 8}


def test_all_photos_of_a_folder_without_a_test_split_are_measured(
    tuned_run, photos, capsys
):
    result = run(tuned_run, data=str(photos))
    assert result.metrics.num_examples == 60
    assert result.measured_on == photos.name
    assert f"60 photos of {photos.name}." in capsys.readouterr().err


def test_of_a_folder_with_a_test_split_that_is_measured(
    tuned_run, split_photos, tmp_path
):
    shutil.copytree(split_photos, tmp_path / "copy")
    result = run(tuned_run, data=str(tmp_path / "copy"))
    assert result.metrics.num_examples == 24
    assert result.measured_on == "the test split of copy"


def test_photos_of_one_class_are_measured(tuned_run, make_photos):
    result = run(tuned_run, data=str(make_photos({"slanted": "slanted"})))
    support = [scores.support for scores in result.metrics.per_class]
    assert support == [0, 8, 0]
    assert result.unknown == {}


@pytest.mark.parametrize(
    ("split", "description"), [("test", "the test split of "), ("val", "")]
)
def test_a_split_alone_is_measured(
    tuned_run, split_photos, tmp_path, split, description
):
    shutil.copytree(split_photos / "test", tmp_path / "photos" / split)
    result = run(tuned_run, data=str(tmp_path / "photos"))
    assert result.measured_on == f"{description}photos"
    own = run(tuned_run).metrics
    assert result.metrics.to_dict() == own.to_dict()


def test_what_is_left_out_is_said(tuned_run, make_photos, capsys):
    folder = make_photos({"vertical": "vertical", "slanted": "zebra"})
    (folder / "vertical" / "bad.png").write_bytes(b"no picture")
    first = min((folder / "vertical").glob("0*.png"))
    shutil.copy(first, folder / "vertical" / "copy.png")
    run(tuned_run, data=str(folder))
    told = capsys.readouterr().err
    assert "1 photo cannot be used; the first, 'vertical/bad.png'," in told
    assert "1 exact copy left out." in told
    assert "8 photos left out, of classes that the run does not know: " in told
    assert "'zebra'" in told


def test_photos_of_other_classes_are_refused(tuned_run, make_photos, refusal):
    folder = make_photos({"vertical": "Vertical", "slanted": "zebra"})
    words = str(tuned_run.folder), "--data", str(folder)
    assert refusal("evaluate", *words) == (
        "dropzoo evaluate: `data` must hold photos of the run's classes, "
        "under the same names ('horizontal', 'slanted', 'vertical'). "
        "Received: 'Vertical', 'zebra'"
    )


def test_a_split_that_is_not_there_is_refused(tuned_run, photos, refusal):
    words = "--data", str(photos), "--split", "validation"
    sentence = refusal("evaluate", str(tuned_run.folder), *words)
    assert "`split` must be one that" in sentence
    assert "(train)" in sentence


def test_a_limit_draws_photos_of_all_classes(tuned_run):
    metrics = run(tuned_run, limit=12).metrics
    assert metrics.num_examples == 12
    assert sum(scores.support > 0 for scores in metrics.per_class) == 3
    assert run(tuned_run, limit=1000).metrics.num_examples == 24


def test_changed_photos_of_the_run_are_noticed(
    split_photos, copied_run, tmp_path, capsys
):
    shutil.copytree(split_photos, tmp_path / "photos")
    moved = tmp_path / "photos" / "train" / "vertical" / "000.png"
    config = json.loads((copied_run / "config.json").read_text())
    config["data"] = str(tmp_path / "photos")
    (copied_run / "config.json").write_text(json.dumps(config))
    evaluate.run(evaluate.Config(str(copied_run)))
    assert "not those of the run" not in capsys.readouterr().err
    moved.unlink()
    evaluate.run(evaluate.Config(str(copied_run)))
    assert "the photos are not those of the run" in capsys.readouterr().err


def test_a_run_that_was_never_resumed_can_be_measured(copied_run):
    (copied_run / "metrics.json").unlink()  # stopped before the report
    result = evaluate.run(evaluate.Config(str(copied_run)))
    assert result.metrics.num_examples == 24


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "There is no run in nowhere: "),
        ([], "Missing from dropzoo evaluate: RUN"),
        (["run", "--limit", "0"], "`limit` must be at least 1. "),
        (["run", "--split", "all"], "('train', 'validation', 'test')"),
    ],
)
def test_a_bad_option_is_one_sentence(words, sentence, refusal):
    assert sentence in refusal("evaluate", *words)


def test_names_are_printed_as_they_are(capsys):
    metrics = evaluate_probabilities(
        np.array([0, 1]),
        np.array([[0.9, 0.1], [0.6, 0.4]]),
        ["[red]apple[/red]", ":apple:"],
    )
    evaluate._print_tables(evaluate.Result(metrics, "[/b]", {}))
    out = capsys.readouterr().out
    assert "[red]apple[/red]" in out
    assert ":apple:" in out
    assert "2 of [/b]" in out


def test_top_5_is_shown_where_there_are_more_classes(capsys):
    metrics = evaluate_probabilities(
        np.array([0]), np.array([[0.05, 0.1, 0.15, 0.2, 0.22, 0.28]]), "abcdef"
    )
    evaluate._print_tables(evaluate.Result(metrics, "one", {}))
    lines = capsys.readouterr().out.splitlines()
    assert ["top-5", "accuracy", "0.0%"] in [line.split() for line in lines]
    assert lines[-2].split() == ["e", "-", "-", "-", "0"]  # no such photo
