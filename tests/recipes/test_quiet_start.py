import os
import subprocess
import sys

import pytest

# Loading happens once in a process, so each test takes a child.
FIT = """
from dropzoo.recipes.quiet_start import quiet_start
print(quiet_start())
import keras, numpy
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(numpy.zeros((4, 2)), numpy.zeros((4, 1)), verbose=0)
"""
NOISE = "import os; os.write(2, b'noise'); "


def run(source, **environment):
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name != "TF_CPP_MIN_LOG_LEVEL"
    }
    return subprocess.run(
        [sys.executable, "-c", source],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def fake_keras(tmp_path):
    """Makes a `keras` that does as told when it is imported."""

    def make(source):
        (tmp_path / "keras.py").write_text(NOISE + source)
        return {"PYTHONPATH": str(tmp_path)}

    return make


DEVICES = "import types; distribution = types.SimpleNamespace(" + (
    "list_devices=lambda: ['cpu:0'])"
)
START = "import dropzoo.recipes.quiet_start as q; print(q.quiet_start())"


@pytest.mark.slow(ci=True)
def test_loading_and_fitting_write_no_line_of_tensorflows():
    child = run(FIT)
    assert child.returncode == 0
    assert child.stdout.startswith("['cpu:0'")
    assert child.stderr == ""


def test_what_loading_writes_is_held_back(fake_keras):
    child = run(START, **fake_keras(DEVICES))
    assert (child.stdout, child.stderr) == ("['cpu:0']\n", "")


def test_stderr_works_again_afterwards(fake_keras):
    source = START + "; import sys; print('after', file=sys.stderr)"
    assert run(source, **fake_keras(DEVICES)).stderr == "after\n"


def test_a_user_who_sets_the_log_level_sees_everything(fake_keras):
    environment = fake_keras(DEVICES) | {"TF_CPP_MIN_LOG_LEVEL": "0"}
    assert run(START, **environment).stderr == "noise"


def test_a_failure_to_load_shows_what_was_written(fake_keras):
    child = run(START, **fake_keras("raise ImportError('broken')"))
    assert child.returncode == 1
    assert child.stderr.startswith("noise")
    assert "ImportError: broken" in child.stderr
