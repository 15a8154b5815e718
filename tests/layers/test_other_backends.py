"""Layers on the other backends of Keras.

Keras chooses its backend at import, so each gets processes of its own, which
are slow: JAX compiles each operation for each shape. PyTorch, a large download,
has a marker.
"""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

FOLDER = Path(__file__).parent
TESTS = (FOLDER, FOLDER.parent / "models" / "test_predict_samples.py")
TAKE_OVER = """
import sys
import keras
import numpy as np
from dropzoo.layers import *  # registers them

folder = sys.argv[1]
model = keras.saving.load_model(f"{folder}/model.keras")
with np.load(f"{folder}/arrays.npz") as arrays:
    expected = dict(arrays)
x, y = expected.pop("x"), expected.pop("y")
found = model.predict(x, verbose=0)
assert found.keys() == expected.keys()
for name, values in expected.items():
    np.testing.assert_allclose(
        found[name], values, rtol=1e-4, atol=1e-5, err_msg=name
    )
model = keras.Model(model.input, model.get_layer("add").output)
model.compile(
    keras.optimizers.SGD(1e-2),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    jit_compile=True,
)
losses = [float(model.train_on_batch(x, y)) for _ in range(8)]
print(keras.backend.backend(), losses)
assert losses[-1] < 0.8 * losses[0], losses
"""


def run_on(backend, *words):
    return subprocess.run(
        [sys.executable, *map(str, words)],
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


@pytest.mark.slow(ci=True)
def test_jax_infers_what_tensorflow_does_and_trains_all_layers(tmp_path):
    contracts = runpy.run_path(str(FOLDER / "test_contracts.py"))
    together = contracts["all_in_one_model"]()
    names = [*contracts["LAYERS"], "add"]
    outputs = {name: together.get_layer(name).output for name in names}
    model = keras.Model(together.input, outputs)
    x, y = contracts["four_classes"]()
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "arrays.npz", x=x, y=y, **model.predict(x, verbose=0))
    run = run_on("jax", "-c", TAKE_OVER, tmp_path)
    assert run.returncode == 0, run.stderr[-10_000:]
    assert run.stdout.startswith("jax ")


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("jax", marks=pytest.mark.slow(ci=True)),
        pytest.param("torch", marks=pytest.mark.torch),
    ],
)
def test_all_layers_pass_on(backend):
    run = run_on(
        *(backend, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *("-m", "not torch and (not slow or slow(ci=True))"),
        *(f"--ignore={__file__}", *TESTS),
    )
    assert run.returncode == 0, run.stdout[-10_000:]
    summary = run.stdout.splitlines()[-1]
    assert re.search(r"\d{3,} passed", summary), summary
    assert "skipped" not in summary
