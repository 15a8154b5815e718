"""The examples in the docstrings run and print what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = sorted(stub.parent.name for stub in ROOT.glob("*/__init__.pyi"))


def modules_with_examples():
    """Dotted names: by file, pytest would import a folder a second time."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT).with_suffix("").parts
                yield ".".join(("dropzoo",) * (folder != "dropzoo") + parts)


def test_there_are_examples():
    assert len(list(modules_with_examples())) > 3


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_examples_print_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may write files
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
