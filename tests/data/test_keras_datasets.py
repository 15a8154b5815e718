import gzip
import os
import pickle
import struct
from pathlib import Path

import keras
import numpy as np
import pytest

from dropzoo.data import load


def idx(values: np.ndarray) -> bytes:
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


def fake_arrays(size: int, *channels: int):
    rng = np.random.default_rng(size)
    shape = size, size, *channels
    return tuple(
        (
            rng.integers(0, 256, (count, *shape), "uint8"),
            np.arange(count, dtype="uint8").reshape(-1, 1) % 10,
        )
        for count in (60, 20)
    )


def test_cifar10_has_names_and_its_own_test_split(monkeypatch):
    train, test = fake_arrays(32, 3)
    monkeypatch.setattr(
        keras.datasets.cifar10, "load_data", lambda: (train, test)
    )
    data = load("cifar10")
    assert data.class_names[3] == "cat"
    assert data.flips_are_safe  # photographs, small as they are
    assert data.findings.made_splits == ("validation",)
    assert len(data.test) == 20
    np.testing.assert_array_equal(data.test.read(7), test[0][7])
    assert data.test.labels.tolist() == test[1].reshape(-1).tolist()


def test_fashion_mnist_is_what_keras_has_in_its_cache():
    train, test = fake_arrays(28)
    cache = Path(os.environ["KERAS_HOME"], "datasets", "fashion-mnist")
    cache.mkdir(parents=True)
    for prefix, (images, labels) in (("train", train), ("t10k", test)):
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            packed = gzip.compress(idx(values.squeeze()))
            (cache / f"{prefix}-{kind}-ubyte.gz").write_bytes(packed)
    data = load("fashion_mnist")
    assert data.class_names[9] == "ankle boot"
    np.testing.assert_array_equal(
        data.test.read(4), np.stack([test[0][4]] * 3, axis=-1)
    )


@pytest.mark.parametrize(
    "error",
    [
        Exception("URL fetch failure on https://x: None -- refused"),
        pickle.UnpicklingError("no pickle"),
    ],
)
def test_a_failed_download_is_told_in_one_sentence(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    with pytest.raises(OSError, match="'cifar10' cannot be had.*tfds:cifar10"):
        load("cifar10")
