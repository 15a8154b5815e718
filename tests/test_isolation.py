"""The tests' own ground: what conftest promises holds."""

import os
import socket
import types
import urllib.error
import urllib.request
from pathlib import Path

import pytest


def test_home_is_not_the_users():
    assert Path.home().name.startswith("dropzoo-tests-")
    assert os.environ["KERAS_HOME"].startswith(str(Path.home()))


def test_a_connection_to_another_machine_is_refused():
    with socket.socket() as client, pytest.raises(OSError, match="asked the"):
        client.connect(("192.0.2.1", 80))  # reserved for documentation


def test_a_download_fails_at_once():
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen("http://192.0.2.1/", timeout=5)


@pytest.mark.parametrize(
    ("words", "chosen", "is_parallel"),
    [
        (["tests"], "not slow and not torch", True),
        (["tests/layers", __file__], "not slow and not torch", True),
        ([__file__], "not slow and not torch", False),
        ([f"{__file__}::test_home_is_not_the_users"], "not slow", False),
        (["tests"], "slow", False),
    ],
)
def test_few_files_and_slow_tests_take_one_process(
    words, chosen, is_parallel, pytestconfig
):
    option = types.SimpleNamespace(markexpr=chosen)
    config = types.SimpleNamespace(args=words, option=option)
    count = pytestconfig.hook.pytest_xdist_auto_num_workers(config=config)
    assert (count > 0) == is_parallel
    assert count <= len(os.sched_getaffinity(0))
