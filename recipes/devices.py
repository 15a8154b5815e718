"""Several devices of one machine, each with its part of every batch."""

import contextlib
from typing import Any

import keras


def data_parallel(devices: int) -> contextlib.AbstractContextManager:
    """A scope in which networks are built and trained on several devices.

    Each device has a copy of the network and gets an equal part of every
    batch; gradients are averaged over all of them. So `devices` change how
    long an update takes, not what it does, but for layers that look at the
    batch: a BatchNormalization sees its device's part on TensorFlow.

    Args:
        devices: Number of devices, from 1. 1 leaves everything as it is.

    Raises: ValueError when there are fewer, or the backend is PyTorch.
    """
    check_devices(devices)
    if devices == 1:
        return contextlib.nullcontext()
    chosen = keras.distribution.list_devices()[:devices]
    if keras.backend.backend() == "jax":
        parallel: Any = keras.distribution.DataParallel(
            devices=chosen, auto_shard_dataset=False
        )
        return parallel.scope()
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(chosen).scope()


def check_devices(devices: int, accumulate: int = 1) -> None:
    """Refuses more devices than there are, and what Keras cannot do on them.

    Args:
        devices: Number of devices, from 1.
        accumulate: Steps that make an update.

    Raises: ValueError when there are fewer devices, the backend is PyTorch, or
        gradients of several devices are to be accumulated on TensorFlow.
    """
    backend = keras.backend.backend()
    if devices > 1 and backend == "tensorflow" and accumulate > 1:
        raise ValueError(
            "train: `accumulate` must be 1 with several devices on TensorFlow, "
            "where Keras cannot accumulate their gradients; set KERAS_BACKEND "
            f"to jax. Received: accumulate={accumulate}, devices={devices}"
        )
    if devices > 1 and backend == "torch":
        raise ValueError(
            "train: `devices` must be 1 with the PyTorch backend; set "
            "KERAS_BACKEND to tensorflow or jax for more. "
            f"Received: devices={devices}"
        )
    found = keras.distribution.list_devices()
    if devices > len(found):
        raise ValueError(
            f"train: `devices` must be at most {len(found)}, as many as there "
            f"are here ({', '.join(found)}). Received: devices={devices}"
        )
