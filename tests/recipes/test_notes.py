"""The verb that runs the experiments of the course notes."""

import importlib

import keras
import pytest

from dropzoo import cli
from dropzoo.recipes import notes
from dropzoo.recipes.note import Note, new_figure


@pytest.fixture
def quick(monkeypatch):
    """Lets every experiment come to one row, its seed."""
    seeds = {}
    for name in notes.NOTES:
        module = importlib.import_module(
            f"dropzoo.recipes.notes_{name.replace('-', '_')}"
        )

        def note(seed, name=name):
            seeds[name] = seed
            words = ("A.", "B.", "C.")
            return Note(("seed",), [(str(seed),)], new_figure(1), words)

        monkeypatch.setattr(module, "note", note)
    return seeds


def test_without_a_name_the_experiments_are_listed(capsys):
    assert cli.main(["notes"]) == 0
    printed = capsys.readouterr().out
    for name, summary in notes.NOTES.items():
        assert f" {name} " in printed
        assert summary in printed


def test_one_writes_one_picture(quick, tmp_path, capsys):
    words = ["convolution", f"--out={tmp_path}", "--seed=3"]
    assert cli.main(["notes", *words]) == 0
    assert quick == {"convolution": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["convolution.png"]
    printed = capsys.readouterr().out
    assert printed.startswith(f"convolution: {notes.NOTES['convolution']}\n")
    assert "\nA. B. C.\n" in printed


def test_all_runs_all(quick, tmp_path):
    pictures = notes.run(notes.Config("all", out=str(tmp_path)))
    assert list(pictures) == list(notes.NOTES) == list(quick)
    assert set(tmp_path.iterdir()) == set(pictures.values())


def test_another_backend_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert cli.main(["notes", "losses"]) == 2
    error = capsys.readouterr().err
    assert "backend must be tensorflow" in error
    assert "Received: jax" in error


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["convlution"], "did you mean convolution? there are "),
        (["zzz"], "`NAME` must be an experiment; there are "),
        (["all", "--seed=-1"], "`seed` must be in [0, 2**31)"),
        (["all", "more"], "unexpected argument 'more'"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["notes", *words])
    output = capsys.readouterr()
    assert output.out == ""
    assert sentence in output.err
    assert output.err.count("\n") == 1
