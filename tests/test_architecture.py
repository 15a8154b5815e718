"""Rules about the source as a whole, read from its syntax trees.

Function-level imports count as much as those at the top of a file.
"""

import ast
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

BELOW_MODELS = {"layers", "schedules"}
BELOW_DATA = BELOW_MODELS | {"models"}
BELOW_SEARCH = BELOW_DATA | {"callbacks", "data", "evaluation"}
BELOW_RECIPES = BELOW_SEARCH | {"search"}
MAY_IMPORT = {
    "layers": set(),
    "schedules": set(),
    "models": BELOW_MODELS,
    "callbacks": BELOW_DATA,
    "data": BELOW_DATA,
    "evaluation": BELOW_DATA | {"data"},
    "search": BELOW_SEARCH,
    "recipes": BELOW_RECIPES,
}
# What the front door defines for everybody, `from dropzoo import ...`.
SHARED_NAMES = {"__version__", "set_deterministic"}
KERAS_ONLY = {"keras", "lazy_loader", "dropzoo"} | sys.stdlib_module_names


def files_of(*folders: str, suffixes: tuple[str, ...] = (".py",)):
    """Paths of the Python files under some folders of the repository."""
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py*"))
        if path.suffix in suffixes
    ]


@functools.cache  # every rule reads every file
def read(path: Path) -> ast.Module:
    """Those nodes of a file that there is a rule about."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    kept: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            kept.append(ast.Assert(ast.Constant(0), lineno=node.lineno))
        elif isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Attribute) and node.attr == "src"
        ):
            kept.append(node)
    return ast.Module(kept, [])


def imports(tree: ast.AST, package: str = "") -> Iterator[str]:
    """Dotted names that a file imports; relative ones become absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None]
            start = parents if node.level else []
            module = ".".join(filter(None, (*start, node.module)))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def upward_imports(tree: ast.AST, folder: str) -> list[str]:
    """Imports of our own that a file of `folder` must not have."""
    allowed = MAY_IMPORT[folder] | SHARED_NAMES | {folder}
    return [
        name
        for name in imports(tree, f"dropzoo.{folder}")
        if name.split(".")[0] == "dropzoo"
        and (name == "dropzoo" or name.split(".")[1] not in allowed)
    ]


def bare_imports(tree: ast.AST) -> list[str]:
    """Imports of our folders as if they were packages of their own."""
    return [
        n for n in imports(tree, "dropzoo") if n.split(".")[0] in MAY_IMPORT
    ]


def private_keras(tree: ast.AST) -> list[str]:
    """Uses of what Keras keeps to itself."""
    named = [n for n in imports(tree) if n.startswith("keras.src")]
    reached = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "src"
        and ast.unparse(node) == "keras.src"
    ]
    return named + reached


def assertions(tree: ast.AST) -> list[int]:
    """Lines with an `assert`, which `python -O` drops."""
    return [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Assert)]


def by_folder(paths: Iterable[Path]) -> pytest.MarkDecorator:
    """A case for each folder: thousands of files would be a case each."""
    folders: dict[str, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.relative_to(ROOT).parts[0], []).append(path)
    return pytest.mark.parametrize("paths", folders.values(), ids=folders)


def broken(rule: Callable[[Path], Any], paths: list[Path]) -> dict[str, Any]:
    """What a rule finds, by file."""
    found = {str(path.relative_to(ROOT)): rule(path) for path in paths}
    return {path: what for path, what in found.items() if what}


PACKAGE = files_of(*MAY_IMPORT, suffixes=(".py", ".pyi"))
SHIPPED = [*PACKAGE, *files_of("dropzoo"), ROOT / "setup.py"]
EVERYTHING = [*SHIPPED, *files_of("tests", "benchmarks", "tools", ".ci")]


def test_every_folder_of_the_package_has_a_place():
    folders = {stub.parent.name for stub in ROOT.glob("*/__init__.pyi")}
    assert folders == {*MAY_IMPORT, "dropzoo"}


@by_folder(PACKAGE)
def test_imports_point_downwards(paths):
    def rule(path):
        return upward_imports(read(path), path.relative_to(ROOT).parts[0])

    assert broken(rule, paths) == {}


@by_folder(files_of("layers", "schedules"))
def test_layers_and_schedules_need_keras_only(paths):
    def rule(path):
        names = imports(read(path), "dropzoo")
        return {name.split(".")[0] for name in names} - KERAS_ONLY

    assert broken(rule, paths) == {}


@by_folder(EVERYTHING)
def test_folders_are_imported_as_parts_of_dropzoo(paths):
    assert broken(lambda path: bare_imports(read(path)), paths) == {}


@by_folder(EVERYTHING)
def test_only_public_keras_is_used(paths):
    assert broken(lambda path: private_keras(read(path)), paths) == {}


@by_folder(SHIPPED + files_of("benchmarks", "tools", ".ci"))
def test_no_assert_outside_tests(paths):
    assert broken(lambda path: assertions(read(path)), paths) == {}


@by_folder(EVERYTHING)
def test_modules_are_named_after_their_concept(paths):
    vague = {"utils", "util", "helpers", "misc", "common"}

    def rule(path):
        return vague & set(path.relative_to(ROOT).with_suffix("").parts)

    assert broken(rule, paths) == {}


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("import dropzoo", "models"),
        ("from dropzoo import recipes", "evaluation"),
        ("import dropzoo.cli", "recipes"),
        ("from dropzoo.data import splits", "callbacks"),
        ("from ..recipes import finetune", "data"),
        ("from .. import recipes", "data"),
        ("def late():\n    from dropzoo.models import freeze", "layers"),
    ],
)
def test_an_upward_import_is_seen(source, folder):
    assert upward_imports(ast.parse(source), folder)


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("from dropzoo import __version__", "evaluation"),
        ("from dropzoo.data import splits", "evaluation"),
        ("from .spec import ModelSpec", "models"),
        ("from ..layers import Maxout", "models"),
        ("import keras", "layers"),
    ],
)
def test_a_downward_import_is_let_through(source, folder):
    assert upward_imports(ast.parse(source), folder) == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (bare_imports, "import layers"),
        (bare_imports, "def late():\n    from models import graft"),
        (bare_imports, "import data.splits"),
        (private_keras, "from keras.src import backend"),
        (private_keras, "import keras.src.layers as layers"),
        (private_keras, "import keras\nkeras.src.backend.floatx()"),
        (assertions, "def f(x):\n    assert x"),
    ],
)
def test_a_broken_rule_is_seen(rule, source):
    assert rule(ast.parse(source))
