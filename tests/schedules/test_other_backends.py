"""The same tests once more, on the other backends of Keras.

Keras chooses its backend at import, so each gets a process of its own. JAX
compiles each operation by itself here, which takes its time.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("jax", marks=pytest.mark.slow),
        pytest.param("torch", marks=pytest.mark.torch),
    ],
)
def test_all_schedules_pass_on(backend):
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0"]
        + ["-p", "no:cacheprovider", str(FOLDER), f"--ignore={__file__}"],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-10_000:]
    summary = run.stdout.splitlines()[-1]
    assert re.search(r"\d{3,} passed", summary), summary
    assert "skipped" not in summary
