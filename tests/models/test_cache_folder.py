from pathlib import Path

import pytest

from dropzoo.models.cache_folder import cache_folder


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DROPZOO_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a/weights"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/dropzoo/weights"),
        ({}, "/home/someone/.cache/dropzoo/weights"),
    ],
)
def test_the_nearest_variable_decides(monkeypatch, variables, expected):
    for name in ("DROPZOO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder("weights") == Path(expected)
