"""The verb that draws a schedule."""

import struct

import numpy as np
import pytest
from PIL import Image

from dropzoo import cli, schedule
from dropzoo.schedules.named import BUILDERS


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[pytest.mark.slow(ci=True)]
            * (name not in ("cosine", "step")),
        )
        for name in BUILDERS
    ],
)
def test_every_schedule_is_drawn(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert schedule.main([name, "--steps", "140", "--peak", "0.2"]) == 0
    assert [file.name for file in tmp_path.iterdir()] == [f"{name}.png"]
    assert capsys.readouterr().out.startswith(f"{name}.png: step 0 has ")
    with Image.open(f"{name}.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels != 255).any(axis=-1).mean() > 0.01


def test_the_help_names_every_schedule(capsys):
    with pytest.raises(SystemExit):
        schedule.main(["--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    *names, last = BUILDERS
    assert f"{', '.join(names)} or {last}." in text


def test_the_figures_are_those_of_the_schedule(tmp_path, capsys):
    out = tmp_path / "new" / "cycles.png"
    schedule.main(
        ["snapshot", "--peak=0.4", "--steps=130", "--warmup=10"]
        + ["--cycles=4", f"--out={out}"]
    )
    assert capsys.readouterr().out == (
        f"{out}: step 0 has the rate 0.0364, step 10 the largest, 0.4, "
        "and the last step, 129, 0.0011\n"
    )
    width, height = struct.unpack(">II", out.read_bytes()[16:24])
    assert (width, height) == (910, 416)


def test_one_step_can_be_drawn(tmp_path):
    out = tmp_path / "short.png"
    assert schedule.main(["cosine", "--steps=1", f"--out={out}"]) == 0
    assert out.is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["onecycle"], "did you mean 'one_cycle'?"),
        (["cosine", "--cycles=2"], "`cycles` must be an option of 'cosine'"),
        (["snapshot", "--cycles=3"], "take 999 or 1002 steps"),
        (["cosine", "--peak=0"], "`peak` must be above 0"),
        (["cosine", "--steps=0"], "`steps` must be at least 1"),
        (["cosine", "--warmup=1000"], "`warmup_steps` must be"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, capsys, tmp_path):
    assert cli.main(["schedule", *words, f"--out={tmp_path}/a.png"]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_picture_of_another_kind_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        schedule.main(["cosine", "--out=a.pdf"])
    assert stop.value.code == 2
    assert "`out` must end in .png. Received: out='a.pdf'" in (
        capsys.readouterr().err
    )
