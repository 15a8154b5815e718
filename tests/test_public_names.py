"""Every public name resolves, and its documentation matches its signature."""

import ast
import dataclasses
import importlib
import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STUBS = sorted(ROOT.glob("*/__init__.pyi"))
SECTION = re.compile(r"^(Args|Attributes):$")
ENTRY = re.compile(r"^    ((?:\*{0,2}\w+)(?:, \*{0,2}\w+)*):( |$)")


def public_names() -> Iterator[tuple[str, str]]:
    """Pairs of package and name from the stubs, read without importing."""
    for stub in STUBS:
        folder = stub.parent.name
        package = "dropzoo" if folder == "dropzoo" else f"dropzoo.{folder}"
        for node in ast.parse(stub.read_text()).body:
            for alias in getattr(node, "names", ()):
                yield package, alias.asname


NAMES = list(public_names())


def documented_objects() -> Iterator[tuple[str, object]]:
    """Public classes and functions, those of public modules among them."""
    for package, name in NAMES:
        value = getattr(importlib.import_module(package), name)
        if package == "dropzoo" and isinstance(value, types.ModuleType):
            continue  # a folder, whose own stub is read
        if isinstance(value, types.ModuleType):
            for member, inner in vars(value).items():
                is_own = getattr(inner, "__module__", "") == value.__name__
                if is_own and callable(inner) and member[0] not in "_":
                    yield f"{value.__name__}.{member}", inner
        elif callable(value):
            yield f"{package}.{name}", value


def documented_arguments(docstring: str) -> list[str]:
    """Names under `Args:` or `Attributes:` of a docstring."""
    names, inside = [], False
    for line in inspect.cleandoc(docstring).splitlines():
        if SECTION.match(line):
            inside = True
        elif line and not line.startswith(" "):
            inside = False
        elif inside and (entry := ENTRY.match(line)):
            names += [n.lstrip("*") for n in entry[1].split(", ")]
    return names


def real_arguments(value) -> tuple[list[str], set[str]]:
    """Named parameters in order, and the names of `*args` and `**kwargs`."""
    if inspect.isclass(value) and issubclass(value, BaseException):
        return [], set()
    parameters = inspect.signature(value).parameters.values()
    variadic = {p.name for p in parameters if "VAR_" in p.kind.name}
    named = [p.name for p in parameters if p.name not in variadic]
    return named, variadic


def documentation_gap(value) -> str:
    """What the docstring lacks or invents; empty where it agrees."""
    docstring = value.__doc__ or ""
    if not docstring or docstring.startswith(f"{value.__name__}("):
        return "no docstring"  # dataclasses write a signature of their own
    if is_options(value):
        return ""
    documented = documented_arguments(docstring)
    named, variadic = real_arguments(value)
    missing = [name for name in named if name not in documented]
    invented = set(documented) - set(named) - variadic
    gap = f"not documented: {missing}" if missing else ""
    return gap + (f" not in the signature: {invented}" if invented else "")


def is_options(value) -> bool:
    """A verb's options, whose help texts stand under the fields."""
    return dataclasses.is_dataclass(value) and value.__name__ == "Config"


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_a_public_name_resolves(package, name):
    module = importlib.import_module(package)
    assert name in module.__all__
    assert getattr(module, name) is not None


def test_documented_arguments_are_the_real_ones():
    gaps = {name: documentation_gap(v) for name, v in documented_objects()}
    assert {name: gap for name, gap in gaps.items() if gap} == {}


def test_options_tell_the_help_of_every_field():
    for name, value in documented_objects():
        if is_options(value):
            tree = ast.parse(inspect.getsource(value))
            body = tree.body[0].body
            for field, text in zip(body, [*body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign):
                    help_text = isinstance(text, ast.Expr)
                    assert help_text, f"{name}.{field.target.id} has no help"


def complete(a, *, b=1, **kwargs):
    """Does it.

    Args:
        a, b: Numbers.
        **kwargs: Passed on.
    """


def lacking(a, b):
    """Does it.

    Args:
        a: A number
            of two: lines.

    Returns:
        c: not an argument.
    """


def inventing(a):
    """Does it.

    Args:
        a: A number.
        z: Left over.
    """


def bare(a):
    pass


@pytest.mark.parametrize(
    ("function", "gap"),
    [
        (complete, ""),
        (lacking, "not documented: ['b']"),
        (inventing, "not in the signature: {'z'}"),
        (bare, "no docstring"),
    ],
)
def test_a_gap_in_the_documentation_is_seen(function, gap):
    assert documentation_gap(function).strip() == gap
