"""Fixtures by which the tests of layers run on every backend of Keras."""

import os
import subprocess
import sys
from pathlib import Path

# Two Keras backends on one machine must not take its whole memory each.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import keras
import numpy as np
import pytest

FOLDER = Path(__file__).parent
OTHER_BACKENDS = FOLDER / "test_other_backends.py"
TESTS = (FOLDER, FOLDER.parent / "models" / "test_predict_samples.py")
RUNS = pytest.StashKey[dict[str, subprocess.Popen]]()


def pytest_collection_modifyitems(items):
    """Waits for the other backends last, whatever the order of the files."""
    items.sort(key=lambda item: item.path == OTHER_BACKENDS)


def pytest_collection_finish(session):
    """Starts the tests on each other backend that is asked for."""
    config = session.config
    config.stash[RUNS] = {
        item.callspec.params["backend"]: start_on(
            item.callspec.params["backend"]
        )
        for item in session.items
        if item.path == OTHER_BACKENDS and not config.option.collectonly
    }


def pytest_sessionfinish(session):
    """Leaves no process behind."""
    for run in session.config.stash.get(RUNS, {}).values():
        run.kill()


def start_on(backend: str) -> subprocess.Popen:
    """Starts the tests of layers in a process of their own."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        + [*map(str, TESTS), f"--ignore={OTHER_BACKENDS}"],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            # Every shape is compiled once and run a few times.
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false",
        },
        cwd=FOLDER.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def other_backends(pytestconfig):
    """The processes that run the tests of layers on other backends."""
    return pytestconfig.stash[RUNS]


@pytest.fixture
def gradient():
    """Returns `gradient(function, x)`: d sum(function(x)) / dx, as NumPy."""

    def with_tensorflow(function, x):
        import tensorflow as tf

        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = keras.ops.sum(function(x))
        return tape.gradient(total, x)

    def with_jax(function, x):
        import jax

        return jax.grad(lambda x: keras.ops.sum(function(x)))(
            keras.ops.convert_to_tensor(x)
        )

    def with_torch(function, x):
        x = keras.ops.convert_to_tensor(x).detach().requires_grad_(True)
        keras.ops.sum(function(x)).backward()
        return x.grad

    compute = {
        "tensorflow": with_tensorflow,
        "jax": with_jax,
        "torch": with_torch,
    }[keras.backend.backend()]
    return lambda function, x: keras.ops.convert_to_numpy(compute(function, x))


@pytest.fixture
def compiled():
    """Returns `compiled(function)`: the same as one graph, without XLA on TF.

    Only for functions that move no variable, such as layers at inference.
    """

    def compile_for_backend(function):
        backend = keras.backend.backend()
        if backend == "tensorflow":
            return sys.modules["tensorflow"].function(function)
        if backend == "jax":
            import jax

            return jax.jit(function)
        return function

    return compile_for_backend


@pytest.fixture
def to_numpy():
    """Returns `to_numpy(tensor)`, for tensors of any backend and dtype."""
    return lambda tensor: np.asarray(
        keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))
        if keras.backend.standardize_dtype(tensor.dtype) == "bfloat16"
        else keras.ops.convert_to_numpy(tensor)
    )
