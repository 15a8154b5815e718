"""Fixtures by which the tests of layers run on every backend of Keras."""

import os
import sys

# Two Keras backends on one machine must not take its whole memory each.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import keras
import numpy as np
import pytest


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
