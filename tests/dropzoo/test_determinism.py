import subprocess
import sys

import pytest

from dropzoo import set_deterministic

# Deterministic operations stay on for the process, so a child takes them.
CHILD = """
import random
import keras, numpy, tensorflow as tf
from dropzoo import set_deterministic

set_deterministic({seed})
model = keras.Sequential([keras.layers.Dense(8), keras.layers.Dropout(0.5),
                          keras.layers.Dense(1)])
model.compile("sgd", "mse")
x = numpy.random.normal(size=(64, 4)).astype("float32")
model.fit(x, x[:, :1], epochs=2, verbose=0)
weights = numpy.concatenate([w.ravel() for w in model.get_weights()])
print(weights.tobytes().hex(), random.random())
tf.random.set_seed(None)
try:
    tf.random.normal([1])
    print("operations may differ")
except RuntimeError:
    print("operations repeat")
"""


def run(seed):
    child = subprocess.run(
        [sys.executable, "-c", CHILD.format(seed=seed)],
        capture_output=True,
        text=True,
        check=True,
    )
    return child.stdout


def test_training_repeats_to_the_bit_in_another_process():
    first = run(seed=3)
    assert first == run(seed=3)
    assert first != run(seed=4)
    assert first.splitlines()[-1] == "operations repeat"


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, None, "7"])
def test_a_seed_outside_the_range_is_refused(seed):
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        set_deterministic(seed)
