"""The same tests once more, on the other backends of Keras.

Keras chooses its backend at import, so each gets a process of its own. JAX is
part of the ordinary run; PyTorch, a large download, has a marker.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
TESTS = (FOLDER, FOLDER.parent / "models" / "test_predict_samples.py")


def run_on(backend: str) -> str:
    """Runs the tests of layers on a backend; returns pytest's last line."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        + [*map(str, TESTS), f"--ignore={__file__}"],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            # Every shape is compiled once and run a few times.
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        },
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-10_000:] + run.stderr[-2_000:]
    return run.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "backend", ["jax", pytest.param("torch", marks=pytest.mark.torch)]
)
def test_all_layers_pass_on(backend):
    summary = run_on(backend)
    assert re.search(r"\d{3,} passed", summary), summary
    assert "skipped" not in summary
