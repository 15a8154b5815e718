import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropzoo.layers import masked_matmul as module
from dropzoo.layers.masked_matmul import masked_matmul

RATE = 0.4
SHAPE = {"batch": 5, "groups": 2, "positions": 3, "features": 4, "units": 6}


def multiply(inputs, kernel, seed=1):
    generator = keras.random.SeedGenerator(seed)
    return masked_matmul(inputs, kernel, RATE, generator)


def data(batch, groups, positions, features, units, dtype="float32"):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(batch, groups, positions, features))
    kernel = rng.normal(size=(groups, features, units))
    return inputs.astype(dtype), kernel.astype(dtype)


def masks(batch, groups, features, units, seed=1):
    """The masks of a seed: what the unit vectors give of a kernel of ones."""
    eye = np.broadcast_to(
        np.eye(features, dtype="float32"), (batch, groups, features, features)
    )
    ones = np.ones((groups, features, units), "float32")
    return keras.ops.convert_to_numpy(multiply(eye, ones, seed))


@pytest.fixture(params=[96, 2**20], ids=["twos", "whole"])
def chunks(request, monkeypatch):
    """Chunks of two examples, with one to spare, or of all."""
    monkeypatch.setattr(module, "MASK_ELEMENTS", request.param)


@pytest.mark.usefixtures("chunks")
def test_each_example_meets_the_kernel_under_its_own_mask(to_numpy):
    inputs, kernel = data(**SHAPE)
    mask = masks(5, 2, 4, 6)
    assert set(np.unique(mask)) == {0, 1}
    assert (mask[0] != mask[1]).any()
    expected = np.einsum("bgpi,bgio,gio->bgpo", inputs, mask, kernel)
    output = to_numpy(multiply(inputs, kernel))
    np.testing.assert_allclose(output, expected, atol=1e-5)


@pytest.mark.usefixtures("chunks")
def test_gradients_are_masked_outer_products(gradient):
    inputs, kernel = data(**SHAPE)
    mask = masks(5, 2, 4, 6)
    slopes = np.random.default_rng(1).normal(size=(5, 2, 3, 6))
    slopes = slopes.astype("float32")

    of_kernel = gradient(
        lambda k: keras.ops.multiply(multiply(inputs, k), slopes), kernel
    )
    expected = np.einsum("bgio,bgpi,bgpo->gio", mask, inputs, slopes)
    np.testing.assert_allclose(of_kernel, expected, atol=1e-5)

    of_inputs = gradient(
        lambda x: keras.ops.multiply(multiply(x, kernel), slopes), inputs
    )
    expected = np.einsum("bgio,gio,bgpo->bgpi", mask, kernel, slopes)
    np.testing.assert_allclose(of_inputs, expected, atol=1e-5)


# Few and small: JAX compiles each shape anew.
@settings(max_examples=3, deadline=None, derandomize=True)
@given(st.fixed_dictionaries({name: st.sampled_from([1, 3]) for name in SHAPE}))
def test_any_sizes_will_do(sizes):
    inputs, kernel = data(**sizes)
    mask = masks(*(sizes[name] for name in SHAPE if name != "positions"))
    output = keras.ops.convert_to_numpy(multiply(inputs, kernel))
    expected = np.einsum("bgpi,bgio,gio->bgpo", inputs, mask, kernel)
    np.testing.assert_allclose(output, expected, atol=1e-5)


@pytest.mark.usefixtures("chunks")
def test_an_empty_batch_gives_an_empty_batch(gradient):
    inputs, kernel = data(**{**SHAPE, "batch": 0})
    assert multiply(inputs, kernel).shape == (0, 2, 3, 6)
    assert not gradient(lambda k: multiply(inputs, k), kernel).any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_its_type(dtype, to_numpy):
    inputs, kernel = (
        keras.ops.convert_to_tensor(array, dtype)
        for array in data(**{**SHAPE, "features": 64})
    )
    output = multiply(inputs, kernel)
    assert keras.backend.standardize_dtype(output.dtype) == dtype
    expected = np.einsum(
        "bgpi,bgio,gio->bgpo",
        to_numpy(inputs),
        masks(5, 2, 64, 6),
        to_numpy(kernel),
    )
    # Sums of 64 products near 1, rounded to 8 bits at the worst.
    np.testing.assert_allclose(to_numpy(output), expected, atol=0.3)


def test_small_gradients_add_up_in_half_precision(gradient, monkeypatch):
    # Added up in float16, a sum stops at 2048: 2048 + 1 is 2048.
    monkeypatch.setattr(module, "MASK_ELEMENTS", 16)
    ones = np.ones((6000, 1, 1, 1), "float16")
    kernel = np.ones((1, 1, 1), "float16")
    total = gradient(lambda k: multiply(ones, k), kernel)
    # Five standard errors of 6000 draws; float16 has steps of 2 there.
    error = 5 * np.sqrt(6000 * RATE * (1 - RATE)) + 2
    assert total.item() == pytest.approx(6000 * (1 - RATE), abs=error)


PEAK = """
import resource
import sys

import keras
import numpy as np
from keras import ops

from dropzoo.layers import DropConnectDense

layer = DropConnectDense(1024, masks="example", seed=1)


def gradients(tf, x):
    with tf.GradientTape() as tape:
        loss = ops.sum(layer(x, training=True))
    return tape.gradient(loss, layer.trainable_variables)


def train_step(batch):
    x = np.ones((batch, 1024), "float32")
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        for function in (gradients, tf.function(gradients)):
            function(tf, x)
    elif backend == "torch":
        ops.sum(layer(x, training=True)).backward()
    else:
        import jax

        def loss(variables, others):
            y, _ = layer.stateless_call(variables, others, x, training=True)
            return ops.sum(y)

        values = [v.value for v in layer.trainable_variables]
        others = [v.value for v in layer.non_trainable_variables]
        jax.block_until_ready(jax.jit(jax.grad(loss))(values, others))


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


layer.build((None, 1024))
train_step(2)
before = peak()
train_step(256)
print(peak() - before)
"""


@pytest.mark.slow(ci=True)
def test_memory_is_that_of_a_few_kernels_whatever_the_batch():
    """Masks of 256 examples for 1024 x 1024 weights are 2^28 elements."""
    run = subprocess.run(
        [sys.executable, "-c", PEAK], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    # All masks at once would take 256 MiB as booleans and 1024 as floats;
    # a kernel takes 4, and a fresh graph some too.
    assert float(run.stdout) < 128
