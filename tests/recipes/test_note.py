"""What an experiment comes to, on paper."""

import io
import os

import pytest
from PIL import Image

from dropzoo.recipes.note import STYLE, Note, drawing_style, new_figure


@pytest.fixture
def note():
    with drawing_style():
        figure = new_figure(1.0)
        figure.add_subplot().plot([0, 1])
    rows = [("one [red]", "1.0"), ("two", "2.0")]
    return Note(("name", ">value"), rows, figure, ("First.", "Then.", "Last."))


def test_table_sentences_and_picture_come_out(note, tmp_path, capsys):
    path = tmp_path / "new" / "note.png"
    note.show(path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["name", "value"],
        ["one", "[red]", "1.0"],
        ["two", "2.0"],
    ]
    assert lines[-2:] == ["First. Then. Last.", f"{path} shows it."]
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_fails_leaves_no_file(note, tmp_path, monkeypatch):
    save = Image.Image.save

    def half(picture, file, **options):
        if isinstance(file, io.BytesIO):  # by Matplotlib, in memory
            return save(picture, file, **options)
        file.write_bytes(b"\x89PNG")
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(OSError, match="no space left"):
        note.show(tmp_path / "note.png")
    assert os.listdir(tmp_path) == []


def test_text_is_legible_on_a_phone(note):
    """360 pixels across, as a page shows it there: 7 pixels and more."""
    sizes = [value for name, value in STYLE.items() if name.endswith("size")]
    points_per_pixel = 72 * note.figure.get_figwidth() / 360
    assert min(sizes) / points_per_pixel > 7
    (axes,) = note.figure.axes
    assert axes.xaxis.label.get_size() == STYLE["axes.labelsize"]
