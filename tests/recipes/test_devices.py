"""Two processors stand for two GPUs, in a process of their own."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from dropzoo.recipes.devices import check_devices, data_parallel

PROGRAM = """
import keras
import numpy as np

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
    tf.config.set_logical_device_configuration(processor, two)

from dropzoo.models.sgd_with_l2 import SGDWithL2
from dropzoo.recipes.devices import data_parallel

rng = np.random.default_rng(0)
images = rng.normal(size=(24, 6, 6, 3)).astype("float32")
labels = np.eye(3, dtype="float32")[np.arange(24) % 3]


def batches():
    import tensorflow as tf

    both = tf.data.Dataset.from_tensor_slices((images, labels))
    return both.batch(8)


for devices in (1, 2):
    with data_parallel(devices):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((6, 6, 3)),
                keras.layers.Conv2D(4, 3, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(3),
            ]
        )
        model.compile(
            SGDWithL2(0.01, 0.1, momentum=0.9),
            keras.losses.CategoricalCrossentropy(from_logits=True),
        )
        history = model.fit(batches(), epochs=3, shuffle=False, verbose=0)
    variable = model.layers[0].kernel.value
    spread = getattr(variable, "values", None)
    if keras.backend.backend() == "jax":
        spread = variable.devices()
    copies = 1 if spread is None else len(spread)
    total = sum(float(np.abs(w).sum()) for w in model.get_weights())
    print("figures", copies, *history.history["loss"], total)
"""


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("tensorflow", marks=pytest.mark.slow(ci=True)),
        pytest.param("jax", marks=pytest.mark.slow),
    ],
)
def test_two_devices_train_as_one_does(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    one, two = (
        [float(word) for word in line.split()[1:]]
        for line in done.stdout.splitlines()
        if line.startswith("figures")
    )
    assert (one[0], two[0]) == (1, 2)  # copies of the weights
    # Sums in another order differ in float32's last digits.
    np.testing.assert_allclose(two[1:], one[1:], rtol=1e-4)


def test_one_device_changes_nothing():
    with data_parallel(1) as scope:
        assert scope is None


def test_more_devices_than_there_are_are_refused():
    found = len(keras.distribution.list_devices())
    with pytest.raises(ValueError, match=f"`devices` must be at most {found}"):
        check_devices(found + 1)


def test_pytorch_trains_on_one_device(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    check_devices(1)
    with pytest.raises(ValueError, match="must be 1 with the PyTorch backend"):
        data_parallel(2)


def test_accumulation_on_several_devices_is_refused_on_tensorflow(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    check_devices(1, accumulate=2)
    with pytest.raises(ValueError, match="`accumulate` must be 1"):
        check_devices(2, accumulate=2)


RECIPE = """
import sys
import tensorflow as tf

(processor,) = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
tf.config.set_logical_device_configuration(processor, two)

from dropzoo.recipes import train
from dropzoo.recipes.train_options import Machine, Photos, Training

config = train.Config(
    photos=Photos(data="digits", limit=100, augmentation="shift,cutmix"),
    training=Training(model="resnet20_cifar", epochs=1, batch_size=32),
    machine=Machine(devices=2),
    out=sys.argv[1],
)
print(train.run(config).accuracy)
"""


@pytest.mark.slow
def test_the_recipe_runs_on_two_devices(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RECIPE, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    assert "An update sees 32 photos (2 devices x 16)" in done.stderr
    assert 0 <= float(done.stdout) <= 1
