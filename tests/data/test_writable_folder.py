import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from dropzoo.data.writable_folder import writable_folder

Usage = namedtuple("Usage", "total used free")


def test_a_folder_with_room_is_made_and_left_empty(tmp_path, caplog):
    folder = tmp_path / "a" / "b"
    assert writable_folder(folder, 1000) == folder
    assert list(folder.iterdir()) == []
    assert caplog.records == []


def test_a_folder_below_a_file_is_replaced_with_one_warning(tmp_path, caplog):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "features"
    first, second = writable_folder(folder, 1), writable_folder(folder, 1)
    assert first == second != folder
    assert first.is_dir()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"{folder} (Not a directory)" in record.getMessage()


@pytest.mark.parametrize(("num_bytes", "fits"), [(100, True), (101, False)])
def test_a_full_disk_is_noticed_before_anything_is_computed(
    num_bytes, fits, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(500, 400, 100))
    folder = writable_folder(tmp_path, num_bytes)
    assert (folder == tmp_path) == fits
    assert ("No space left on device" in caplog.text) != fits


def test_the_temporary_folder_goes_with_the_process(tmp_path):
    (tmp_path / "file").touch()
    source = f"""
from pathlib import Path
from dropzoo.data.writable_folder import writable_folder
folder = writable_folder(Path({str(tmp_path / "file")!r}) / "x", 1)
(folder / "features").write_text("large")
print(folder, folder.is_dir())
"""
    run = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        env={"TMPDIR": str(tmp_path)},
        check=True,
    )
    path, existed = run.stdout.split()
    assert existed == "True"
    assert path.startswith(str(tmp_path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
