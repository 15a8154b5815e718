"""A training is killed at 20 moments, and ends as one left alone."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).with_name("killed_training.py")
MOMENTS = [
    ["step", 1],
    ["write", 2, "begun"],
    ["seconds after", 2, 0.0],
    ["write", 5, "half written"],  # the last of a stage
    ["write", "end", "written"],
    ["seconds after", 6, 0.02],
    ["write", 8, "named"],
    ["step", 9],
    ["seconds after", 9, 0.005],
    ["write", 12, "half written"],
    ["step", 13],
    ["seconds after", 14, 0.01],
    ["write", 16, "begun"],
    ["step", 18],
    ["write", 20, "written"],  # with a snapshot
    ["seconds after", 20, 0.05],
    ["step", 23],
    ["write", 25, "half written"],  # the last of an epoch
    ["seconds after", 26, 0.002],
    ["step", 29],
]


@pytest.fixture(
    scope="module",
    # Each of 22 lives opens its pipeline, and would compile its training, anew.
    params=[
        "simply",
        pytest.param("eagerly", marks=pytest.mark.slow(ci=True)),
        pytest.param("compiled", marks=pytest.mark.slow),
    ],
)
def lives(request, tmp_path_factory):
    """The folders of a whole and of a killed training, and how lives ended."""
    whole, killed = tmp_path_factory.mktemp("w"), tmp_path_factory.mktemp("k")
    orders = [(str(whole), None)]
    orders += [(str(killed), moment) for moment in [*MOMENTS, None]]
    run = subprocess.run(
        [sys.executable, PROGRAM, request.param],
        input="".join(f"{json.dumps(order)}\n" for order in orders),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return whole, killed, run.stdout.split()


def deaths(trace):
    """What each life did last."""
    return re.findall(r"(.*)\nkilled\n", trace.read_text())


def test_every_life_but_the_last_is_killed(lives):
    _, killed, ends = lives
    assert len(MOMENTS) == 20
    assert ends == ["0", *["9"] * 20, "0"]  # 9: SIGKILL
    assert len(deaths(killed / "trace")) == 20


def test_deaths_are_spread_over_all_steps(lives):
    _, killed, _ = lives
    trace = (killed / "trace").read_text()
    lives = [re.findall(r"step (\d+)", x) for x in trace.split("killed")[:-1]]
    last = [int(steps[-1]) for steps in lives if steps]
    assert last == sorted(last) and last[0] == 1 and last[-1] == 29
    assert np.diff(last).max() <= 4


def test_some_die_while_they_write_a_checkpoint(lives):
    _, killed, _ = lives
    writing = re.compile(r"checkpoint \d+ (begun|half written|written)")
    assert sum(map(bool, map(writing.fullmatch, deaths(killed / "trace")))) >= 5


def test_the_end_is_that_of_a_training_left_alone_to_the_bit(lives):
    whole, killed, _ = lives
    with np.load(whole / "end.npz") as a, np.load(killed / "end.npz") as b:
        assert a.files == b.files
        assert {name.split()[0] for name in a.files} == {
            "history",
            "snapshots",
            "weight",
            "slot",
            "average",
            "ensemble",
        }
        different = [x for x in a.files if a[x].tobytes() != b[x].tobytes()]
        assert different == []
        assert len(json.loads(str(a["history"]))) == 6


def test_nothing_half_written_is_left(lives):
    _, killed, _ = lives
    left = {path.name for path in killed.rglob("*") if path.is_file()}
    assert not [name for name in left if name.startswith(".")]
