"""The tests' own ground: what conftest promises holds."""

import os
import socket
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
