"""Naming what is on photos, good ones and bad ones."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from dropzoo import cli
from dropzoo.recipes import predict

CLASSES = ("horizontal", "slanted", "vertical")


@pytest.fixture
def photo(split_photos) -> Path:
    return split_photos / "test" / "vertical" / "040.png"


def run(tuned_run, *files, **options) -> predict.Result:
    names = tuple(map(str, files))
    return predict.run(predict.Config(str(tuned_run.folder), names, **options))


def command(capsys, *words) -> tuple[int, str, list[str]]:
    """Status, standard output, and lines of standard error."""
    capsys.readouterr()
    try:
        status = cli.main(["predict", *map(str, words)])
    except SystemExit as stop:  # from reading the options
        status = stop.code
    output = capsys.readouterr()
    return status, output.out, output.err.splitlines()


def save_upright_and_turned(folder: Path, photo: Path) -> None:
    """One picture, stored upright and as a camera held on its side would."""
    upright = Image.open(photo).resize((40, 24))
    upright.save(folder / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right
    upright.rotate(90, expand=True).save(folder / "turned.png", exif=exif)


def test_the_saved_model_is_asked_with_raw_pixels(tuned_run, photo, tmp_path):
    Image.open(photo).resize((90, 47)).save(tmp_path / "other-size.png")
    files = [photo, tmp_path / "other-size.png"]
    result = run(tuned_run, *files)
    model = keras.saving.load_model(tuned_run.folder / "model.keras")
    assert [p.file for p in result.predictions] == list(map(str, files))
    for file, prediction in zip(files, result.predictions, strict=True):
        pixels = np.array(Image.open(file))[np.newaxis]
        expected = dict(zip(CLASSES, np.array(model(pixels))[0], strict=True))
        assert dict(prediction.classes) == pytest.approx(expected, abs=1e-5)


def test_the_most_probable_class_comes_first(tuned_run, photo):
    (prediction,) = run(tuned_run, photo).predictions
    probabilities = [p for _, p in prediction.classes]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert prediction.classes[0][0] == "vertical"


@pytest.mark.parametrize(("top_k", "shown"), [(1, 1), (2, 2), (99, 3)])
def test_top_k_classes_are_shown(tuned_run, photo, top_k, shown):
    (prediction,) = run(tuned_run, photo, top_k=top_k).predictions
    assert len(prediction.classes) == shown


def test_more_photos_than_a_batch_keep_their_order(tuned_run, split_photos):
    folder = split_photos / "val"
    result = run(tuned_run, folder, top_k=1)
    expected = sorted(str(file) for file in folder.rglob("*.png"))
    assert [p.file for p in result.predictions] == expected
    assert len(expected) == 60
    right = [p.classes[0][0] in Path(p.file).parts for p in result.predictions]
    assert np.mean(right) > 0.9


def test_of_a_folder_the_visible_images_are_taken(photo, tmp_path):
    wanted = ["a.png", "B.JPG", "below/deep/c.jpeg"]
    others = ["notes.txt", ".hidden.png", ".git/d.png", "below/.e.png"]
    for name in (*wanted, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, tmp_path / name)
    (tmp_path / "below" / "loop").symlink_to(tmp_path)
    files, failures = predict.find_photos([str(tmp_path)])
    assert files == [
        str(tmp_path / name) for name in ("B.JPG", "a.png", wanted[2])
    ]
    assert failures == []


def test_a_named_file_needs_no_suffix(tuned_run, photo, tmp_path):
    shutil.copy(photo, tmp_path / ".upload")
    assert len(run(tuned_run, tmp_path / ".upload").predictions) == 1


def test_photos_are_shown_to_the_model_as_a_viewer_would(
    tuned_run, photo, tmp_path
):
    save_upright_and_turned(tmp_path, photo)
    upright, turned = run(
        tuned_run, tmp_path / "upright.png", tmp_path / "turned.png"
    ).predictions
    assert turned.classes == upright.classes


def test_unusual_images_are_read(tuned_run, photo, tmp_path):
    image = Image.open(photo)
    image.convert("CMYK").save(tmp_path / "cmyk.jpg")
    image.convert("L").save(tmp_path / "grey.png")
    image.convert("P").save(tmp_path / "palette.gif")
    image.convert("RGBA").save(tmp_path / "alpha.webp", lossless=True)
    result = run(tuned_run, tmp_path)
    assert len(result.predictions) == 4
    assert result.failures == ()


def test_json_is_one_object(tuned_run, photo, capsys):
    words = tuned_run.folder, photo, "--json", "--top-k", 2
    status, out, err = command(capsys, *words)
    assert (status, err) == (0, [])
    everything = json.loads(out)
    (answer,) = everything["photos"]
    assert everything["failures"] == []
    assert answer["file"] == str(photo)
    assert [set(entry) for entry in answer["predictions"]] == [
        {"class", "probability"}
    ] * 2
    assert answer["predictions"][0]["class"] == "vertical"


def test_the_table_names_each_photo_once(tuned_run, photo, capsys):
    status, out, err = command(capsys, tuned_run.folder, photo, photo)
    assert (status, err) == (0, [])
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["file", "class", "probability"]
    assert rows[1][:2] == [str(photo), "vertical"]
    assert rows[1][2].endswith("%")
    assert [len(row) for row in rows[1:]] == [3, 2, 2, 3, 2, 2]


def test_a_bad_photo_is_a_sentence_and_the_others_are_shown(
    tuned_run, photo, tmp_path, capsys
):
    whole = photo.read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "folder").mkdir()
    bad = [
        tmp_path / name
        for name in ("folder", "cut.png", "empty.jpg", "text.jpg", "missing")
    ]
    status, out, err = command(capsys, tuned_run.folder, *bad, photo, "--json")
    assert status == 2
    told = json.loads(out)
    assert [answer["file"] for answer in told["photos"]] == [str(photo)]
    failed = {
        failure["file"]: failure["reason"] for failure in told["failures"]
    }
    assert list(failed) == list(map(str, bad))
    assert failed[str(tmp_path / "empty.jpg")] == "the file is empty"
    assert len(err) == len(bad)
    for file, line in zip(bad, err, strict=True):
        assert line.startswith(f"dropzoo predict: '{file}': ")


def test_only_bad_photos_leave_no_answer(tuned_run, capsys):
    words = tuned_run.folder, "missing.png", "--json"
    status, out, err = command(capsys, *words)
    assert (status, len(err)) == (2, 1)
    reason = "it cannot be read: No such file or directory"
    assert json.loads(out) == {
        "photos": [],
        "failures": [{"file": "missing.png", "reason": reason}],
    }
    status, out, err = command(capsys, *words[:2])
    assert (status, out, len(err)) == (2, "", 1)


def test_a_folder_that_cannot_be_listed_is_a_sentence(monkeypatch, tmp_path):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    files, failures = predict.find_photos([str(tmp_path)])
    assert files == []
    assert str(failures[0]) == (
        f"'{tmp_path}': the folder cannot be read: Permission denied"
    )


def test_names_are_printed_as_they_are(tuned_run, photo, tmp_path, capsys):
    labels = ["[red]", ":apple:", "[/]"]
    copied = shutil.copytree(tuned_run.folder, tmp_path / "run")
    (copied / "labels.json").write_text(json.dumps(labels))
    names = ["[bold]a.png", ":car:.png", "new\nline\x1b[31m.png"]
    for name in names:
        shutil.copy(photo, tmp_path / name)
    files = [tmp_path / name for name in names]
    status, out, _ = command(capsys, copied, *files, "--top-k", 3)
    assert status == 0
    for name in (*labels, *names[:2], "new\\nline\\x1b[31m.png"):
        assert name in out
    assert "\x1b" not in out


def test_a_bad_name_cannot_move_the_cursor(tuned_run, capsys):
    words = tuned_run.folder, "a\x1b[2J\nb.png"
    status, _, err = command(capsys, *words)
    assert (status, len(err)) == (2, 1)
    assert "\x1b" not in err[0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere", "a.png"], "There is no run in nowhere: "),
        (["run"], "`FILE` must name a photo or a folder of photos"),
        ([], "Missing from dropzoo predict: RUN"),
        (["run", "a.png", "--top-k", "0"], "`top_k` must be at least 1. "),
        (["run", "a.png", "--topk", "3"], "did you mean `--top-k`?"),
    ],
)
def test_a_bad_option_is_one_sentence(words, sentence, capsys):
    status, out, err = command(capsys, *words)
    assert (status, out, len(err)) == (2, "", 1)
    assert sentence in err[0]
