import dataclasses
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro

from dropzoo.recipes.options import complain, parse


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of a made-up verb."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""

    peak_rate: float = 1e-3
    """Highest learning rate, above 0."""

    epochs: int = 3
    """Passes over the data."""

    freeze: Literal["all", "none"] = "none"
    """What stays as it is."""

    limit: int | None = None
    """Most photos to use."""

    mixed_precision: bool = False
    """Compute in 16 bits."""

    def __post_init__(self):
        if not self.peak_rate > 0:
            raise ValueError(
                "train: `peak_rate` must be above 0. "
                f"Received: peak_rate={self.peak_rate!r}"
            )


def parse_words(*words):
    return parse(Config, words, prog="dropzoo train", description="Trains.")


def refusal(capsys, *words):
    """The one sentence that the words end in."""
    with pytest.raises(SystemExit) as stop:
        parse_words(*words)
    assert stop.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("dropzoo train: ")
    assert output.err.count("\n") == 1
    return output.err


def test_words_become_typed_fields():
    words = "runs/a --peak-rate 0.1 --epochs=5 --freeze all --mixed-precision"
    assert parse_words(*words.split()) == Config(
        run=Path("runs/a"),
        peak_rate=0.1,
        epochs=5,
        freeze="all",
        mixed_precision=True,
    )


def test_the_result_is_the_class_itself():
    assert type(parse_words("runs/a")) is Config


def test_without_words_the_command_line_is_read(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", "runs/b", "--epochs", "2"])
    config = parse(Config, prog="dropzoo train", description="Trains.")
    assert config == Config(run=Path("runs/b"), epochs=2)


def test_help_shows_options_and_defaults(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_words("--help")
    assert not stop.value.code
    out = capsys.readouterr().out
    assert "dropzoo train" in out
    assert "Trains." in out
    assert "Highest learning rate" in out
    assert "0.001" in out


def test_an_option_that_may_be_left_out_shows_its_type_alone(capsys):
    assert parse_words("r", "--limit", "5").limit == 5
    assert parse_words("r").limit is None
    with pytest.raises(SystemExit):
        parse_words("--help")
    out = capsys.readouterr().out
    assert "--limit INT" in out
    assert "(default: unset)" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("r --epoch 3", "no option `--epoch`; did you mean `--epochs`?"),
        ("r --peak_rat=3", "no option `--peak_rat`; did you mean"),
        ("r --zzz", "no option `--zzz`."),
        ("r --run s", "no option `--run`."),
        ("r s", "unexpected argument 's'."),
        ("r --epochs x", "--epochs: invalid literal for int() with base 10"),
        ("r --limit x", "--limit: invalid literal for int() with base 10"),
        ("r --epochs", "Missing value for argument '--epochs'."),
        ("r --freeze some", "Expected one of ('all', 'none')."),
        ("", "Missing from dropzoo train: RUN"),
    ],
)
def test_a_bad_option_is_one_sentence(words, sentence, capsys):
    message = refusal(capsys, *words.split())
    assert sentence in message
    assert message.endswith(" See `dropzoo train --help`.\n")


def test_a_value_that_the_config_refuses_is_its_own_sentence(capsys):
    assert refusal(capsys, "r", "--peak-rate", "-1") == (
        "dropzoo train: `peak_rate` must be above 0. Received: peak_rate=-1.0\n"
    )


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_the_sentence_is_the_same_on_any_terminal(
    encoding, capsys, monkeypatch
):
    expected = refusal(capsys, "r", "--epochs", "x")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    with pytest.raises(SystemExit):
        parse_words("r", "--epochs", "x")
    assert capsys.readouterr().err == expected


def test_a_long_word_is_not_broken(capsys):
    path = "/".join(["a-rather-long-folder"] * 9)
    assert repr(path) in refusal(capsys, "r", "--epochs", path)


def test_the_terminals_width_is_left_alone(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    parse_words("r")
    assert os.environ["COLUMNS"] == "70"


def test_complain_does_not_say_the_verb_twice(capsys):
    complain("dropzoo train", "train: two\n  lines.")
    assert capsys.readouterr().err == "dropzoo train: two lines.\n"
