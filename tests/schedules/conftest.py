"""Rates over whole runs, ours and those of PyTorch's schedulers."""

import os

# Two Keras backends on one machine must not take its whole memory each.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import keras
import numpy as np
import pytest


@pytest.fixture
def rates():
    """Returns `rates(schedule, steps)`: the rate of each step, in float64."""

    def compiled(schedule):
        if keras.backend.backend() != "jax":
            return schedule
        import jax  # would compile every operation for itself

        return jax.jit(lambda steps: schedule(steps))

    def over_a_run(schedule, steps):
        result = compiled(schedule)(keras.ops.arange(steps, dtype="int32"))
        assert keras.backend.standardize_dtype(result.dtype) == "float32"
        return keras.ops.convert_to_numpy(result).astype("float64")

    return over_a_run


@pytest.fixture
def torch_rates():
    """Returns `torch_rates(make, steps)` for a scheduler of PyTorch."""

    def over_a_run(make, steps, rate=0.1):
        import torch

        weight = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([weight], lr=rate, momentum=0.9)
        scheduler = make(torch.optim.lr_scheduler, optimizer)
        found = []
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return np.array(found)

    return over_a_run
