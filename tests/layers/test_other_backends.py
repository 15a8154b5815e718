"""The same tests once more, on the other backends of Keras.

Keras chooses its backend at import, so each gets a process of its own. JAX is
part of the ordinary run, with two cases of each test, since it compiles each
operation for each shape; PyTorch, a large download, has a marker.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ORDINARY = "not slow and not torch"
TESTS = (FOLDER, FOLDER.parent / "models" / "test_predict_samples.py")


@pytest.mark.parametrize(
    ("backend", "chosen"),
    [
        ("jax", f"{ORDINARY} and not repeated"),
        pytest.param("jax", ORDINARY, marks=pytest.mark.slow),
        pytest.param("torch", ORDINARY, marks=pytest.mark.torch),
    ],
    ids=["jax", "jax, all cases", "torch"],
)
def test_all_layers_pass_on(backend, chosen):
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", chosen]
        + ["-p", "no:cacheprovider", f"--ignore={__file__}"]
        + [*map(str, TESTS)],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            # Every shape is compiled once and run a few times.
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false",
        },
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-10_000:]
    summary = run.stdout.splitlines()[-1]
    assert re.search(r"\d{3,} passed", summary), summary
    assert "skipped" not in summary
