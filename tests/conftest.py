"""What every test stands on: own folders, fixed seeds, no network.

The environment is set at import, before any test imports TensorFlow; child
processes inherit it. pytest-xdist runs the files in several processes.
"""

import atexit
import gc
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

# A shell starts what runs in its background deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

HOME = tempfile.mkdtemp(prefix="dropzoo-tests-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

os.environ.update(
    HOME=HOME,
    XDG_CACHE_HOME=os.path.join(HOME, ".cache"),
    KERAS_HOME=os.path.join(HOME, ".keras"),
    TFDS_DATA_DIR=os.path.join(HOME, "tensorflow_datasets"),
    MPLCONFIGDIR=os.path.join(HOME, "matplotlib"),
    MPLBACKEND="Agg",
    TF_CPP_MIN_LOG_LEVEL="2",
    NO_GCE_CHECK="true",  # TensorFlow would wait for a cloud to answer
    # What is compiled runs a few times: LLVM need not make it fast.
    XLA_FLAGS="--xla_backend_optimization_level=0",
    # Nothing listens there: what asks the network in a child process fails.
    http_proxy="http://127.0.0.1:9",
    https_proxy="http://127.0.0.1:9",
)


if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a process for each core: threads would only wait for each other.
    os.environ.update(TF_NUM_INTRAOP_THREADS="1", OMP_NUM_THREADS="1")


def pytest_xdist_auto_num_workers(config):
    """Runs a few files in this process, and otherwise one process on each core.

    A process imports TensorFlow first, which takes seconds and memory: of slow
    tests, which build the largest networks, two at once might not fit.
    """
    files = [Path(word.split("::")[0]) for word in config.args]
    if all(path.is_file() for path in files):
        return 0
    if "not slow" not in config.option.markexpr:
        return 0
    return min(len(os.sched_getaffinity(0)), 8)


def pytest_collection_finish():
    """Takes what all tests share out of the sight of the garbage collector.

    Libraries and thousands of tests make for a million objects, through which
    it would look again and again as models come and go.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def fixed_seeds():
    """Gives every test the same random streams, whatever ran before it.

    Keras draws its own seeds from Python's stream.
    """
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(scope="module", autouse=True)
def fixed_seed_of_the_backend():
    """Gives every file the same stream of TensorFlow, by which `fit` shuffles.

    Setting its seed makes TensorFlow forget its kernels, and every operation
    of the next test slow.
    """
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Refuses connections to anything but this machine."""
    connect = socket.socket.connect

    def connect_locally(self, address):
        is_local = self.family == socket.AF_UNIX or address[0] in (
            "127.0.0.1",
            "::1",
            "localhost",
        )
        if not is_local:
            raise OSError(f"a test asked the network for {address!r}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_locally)
