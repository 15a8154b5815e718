"""The same tests once more, on the other backends of Keras.

Keras chooses its backend at import, so each gets a process of its own. JAX is
part of the ordinary run; PyTorch, a large download, has a marker. The process
starts when all tests are collected and is waited for at the end: it takes the
core that the other tests leave free. See `conftest.py`.
"""

import re

import pytest


@pytest.mark.parametrize(
    "backend", ["jax", pytest.param("torch", marks=pytest.mark.torch)]
)
def test_all_layers_pass_on(backend, other_backends):
    run = other_backends[backend]
    output, _ = run.communicate()
    assert run.returncode == 0, output[-10_000:]
    summary = output.splitlines()[-1]
    assert re.search(r"\d{3,} passed", summary), summary
    assert "skipped" not in summary
