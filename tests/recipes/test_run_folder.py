"""The run's folder: made once, whole, never over something."""

import os
import shutil
import types

import pytest

from dropzoo.recipes.run_folder import SPACE_NEEDED, RunFolder


def test_a_new_folder_is_made_with_its_parents(tmp_path):
    folder = RunFolder.create(str(tmp_path / "a" / "b"), "unused")
    assert folder.path.is_dir()
    assert list(folder.path.iterdir()) == []


def test_an_empty_folder_may_be_used(tmp_path):
    assert RunFolder.create(str(tmp_path), "unused").path == tmp_path


def test_without_a_path_the_first_free_name_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [str(RunFolder.create(None, "fruit").path) for _ in range(3)]
    assert names == ["runs/fruit", "runs/fruit-2", "runs/fruit-3"]


def test_a_folder_with_content_is_refused(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(FileExistsError, match="--resume"):
        RunFolder.create(str(tmp_path), "unused")


def test_a_file_is_refused(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(FileExistsError, match="`out` must not exist yet"):
        RunFolder.create(str(tmp_path / "x"), "unused")


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(OSError, match="`out` must be a folder that can be"):
        RunFolder.create(str(tmp_path / "x" / "run"), "unused")


@pytest.mark.skipif(
    not os.path.isdir("/proc/self"), reason="needs a read-only folder"
)
def test_a_read_only_folder_is_refused():
    # Even an administrator cannot write there.
    with pytest.raises(OSError, match=r"Received: /proc/self/run \(.+\)"):
        RunFolder.create("/proc/self/run", "unused")


def test_a_full_disk_is_refused(tmp_path, monkeypatch):
    usage = types.SimpleNamespace(free=SPACE_NEEDED - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="511 MiB free"):
        RunFolder.create(str(tmp_path / "run"), "unused")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no run in"):
        RunFolder.open(tmp_path)


def test_a_run_without_a_model_says_how_to_go_on(tmp_path):
    folder = RunFolder.create(str(tmp_path), "unused")
    folder.write_json("config.json", {})
    with pytest.raises(FileNotFoundError, match="finetune --resume"):
        RunFolder.open(tmp_path).model()


def test_what_is_written_is_read_again(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_json("labels.json", ["Äpfel", "[red]"])
    assert folder.read_json("labels.json") == ["Äpfel", "[red]"]
    assert [path.name for path in tmp_path.iterdir()] == ["labels.json"]


def test_numbers_that_json_does_not_know_become_null(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_json("a.json", {"loss": [float("nan"), float("inf"), 1.5]})
    assert "N" not in (tmp_path / "a.json").read_text()
    assert folder.read_json("a.json") == {"loss": [None, None, 1.5]}


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no `labels.json`"):
        RunFolder(tmp_path).read_json("labels.json")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b""])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "labels.json").write_bytes(content)
    with pytest.raises(ValueError, match="labels.json is damaged"):
        RunFolder(tmp_path).read_json("labels.json")


def test_a_run_is_finished_when_its_metrics_are_there(tmp_path):
    folder = RunFolder(tmp_path)
    folder.state.mkdir()
    assert not folder.finished
    folder.write_json("metrics.json", {})
    folder.finish()
    assert folder.finished
    assert not folder.state.exists()


@pytest.mark.parametrize(("names", "stays"), [((), False), (("x",), True)])
def test_only_a_bare_folder_is_discarded(tmp_path, names, stays):
    folder = RunFolder.create(str(tmp_path / "run"), "unused")
    for name in ("config.json", *names):
        folder.write_json(name, {})
    folder.discard_if_bare()
    assert folder.path.exists() == stays


def test_a_run_goes_on_with_the_photos_it_had(tmp_path):
    folder = RunFolder(tmp_path)
    folder.hold_to("these photos")
    folder.hold_to("these photos")


def test_a_run_refuses_to_go_on_with_other_photos(tmp_path):
    folder = RunFolder(tmp_path)
    folder.hold_to("these photos")
    with pytest.raises(ValueError, match="put them back"):
        folder.hold_to("other photos")


def test_errors_name_the_verb_of_the_run(tmp_path):
    folder = RunFolder.create(str(tmp_path / "run"), "x", "train")
    folder.write_json("config.json", {"verb": "train"})
    with pytest.raises(FileNotFoundError, match="dropzoo train --resume"):
        RunFolder.open(folder.path).model()
    with pytest.raises(FileExistsError, match="^train: .*dropzoo train --res"):
        RunFolder.create(str(folder.path), "x", "train")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"verb": 3}'])
def test_a_run_without_a_verb_is_of_the_first_one(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    assert RunFolder.open(tmp_path).verb == "finetune"
