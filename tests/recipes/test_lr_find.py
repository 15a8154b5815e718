"""The verb that finds a learning rate, on tiny photos."""

import csv

import numpy as np
import pytest

from dropzoo import cli
from dropzoo.recipes import lr_find


@pytest.fixture(scope="module")
def options(photos) -> list[str]:
    return [
        f"--data={photos}",
        "--model=tiny",
        "--weights=random",
        "--batch-size=10",
        "--augmentation=none",
    ]


def test_a_curve_a_table_and_a_rate_come_out(options, tmp_path, capsys):
    out = tmp_path / "new" / "curve.png"
    assert cli.main(["lr-find", *options, f"--out={out}"]) == 0
    output = capsys.readouterr()
    assert "A head is fitted: " in output.err
    printed = output.out.splitlines()
    assert [line.split()[0] for line in printed[1:5]] == [
        "valley",
        "steep",
        "minimum",
        "slide",
    ]
    valley = printed[1].split()[1]
    assert printed[-1].startswith(f"Try --peak-rate {valley}, the valley.")
    assert {path.name for path in out.parent.iterdir()} == {
        "curve.png",
        "curve.csv",
    }
    assert out.read_bytes().startswith(b"\x89PNG")
    with out.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rates = [float(row["rate"]) for row in rows]
    np.testing.assert_allclose(rates, np.geomspace(1e-7, 10, 100)[: len(rates)])
    assert 1e-6 < float(valley) < 10


@pytest.mark.slow(ci=True)
def test_a_random_head_begins_near_the_loss_of_guessing(options, tmp_path):
    words = [word.removeprefix("--").split("=") for word in options]
    values = {name.replace("-", "_"): value for name, value in words}
    result = lr_find.run(
        lr_find.Config(
            **{**values, "batch_size": 10},
            head="random",
            iterations=40,
            start_rate=1e-5,
            end_rate=1e-3,
            out=str(tmp_path / "curve.png"),
        )
    )
    assert result.losses[0] == pytest.approx(np.log(3), rel=0.35)
    assert result.rates[-1] == pytest.approx(1e-3)
    assert result.table.is_file()
    assert result.picture.is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--iterations=10"], "`num_iterations` must be at least 25"),
        (["--start-rate=1", "--end-rate=1"], "`start_rate` must be above 0"),
        (["--batch-size=0"], "`batch_size` must be at least 1"),
        (["--seed=-1"], "`seed` must be in [0, 2**31)"),
        (["--out=curve.jpg"], "`out` must end in .png"),
        (["--freeze=all"], "`freeze` must leave something to train"),
        (["--start-rat=1"], "did you mean `--start-rate`?"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, capsys, tmp_path):
    out = f"--out={tmp_path}/curve.png"
    try:
        status = cli.main(["lr-find", out, *words])
    except SystemExit as stop:  # from reading the options
        status = stop.code
    output = capsys.readouterr()
    assert status == 2
    assert output.out == ""
    assert sentence in output.err
    assert output.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
