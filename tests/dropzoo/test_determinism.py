import subprocess
import sys

import pytest

from dropzoo import set_deterministic

# Deterministic operations stay on for the process, so children take them. They
# are forked from one that has imported everything and computed nothing.
CHILDREN = """
import os
import random
import keras, numpy, tensorflow as tf
from dropzoo import set_deterministic

def train(seed):
    set_deterministic(seed)
    model = keras.Sequential([keras.layers.Dense(8), keras.layers.Dropout(0.5),
                              keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = numpy.random.normal(size=(64, 4)).astype("float32")
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    weights = numpy.concatenate([w.ravel() for w in model.get_weights()])
    return weights.tobytes().hex(), random.random()

def report():
    print(train(3))
    print(train(4))
    tf.random.set_seed(None)
    try:
        tf.random.normal([1])
        print("operations may differ", flush=True)
    except RuntimeError:
        print("operations repeat", flush=True)

for _ in range(2):
    child = os.fork()
    if child == 0:
        report()
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.slow(ci=True)
def test_training_repeats_to_the_bit_in_another_process():
    run = subprocess.run(
        [sys.executable, "-c", CHILDREN],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    first, again = lines[:3], lines[3:]
    assert first == again
    assert first[0] != first[1]
    assert first[2] == "operations repeat"


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, None, "7"])
def test_a_seed_outside_the_range_is_refused(seed):
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        set_deterministic(seed)
