"""The pages compile, and name only options, names and files that exist."""

import ast
import dataclasses
import importlib
import json
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropzoo.cli import VERBS
from dropzoo.data.decoding import MAX_BYTES, MAX_PIXELS, MIN_SIDE
from dropzoo.data.loading import SOURCES, usage
from dropzoo.data.selection import SMALL_SIDE
from dropzoo.recipes import finetune
from dropzoo.recipes.option_groups import option_names
from dropzoo.recipes.options import parse
from dropzoo.recipes.run_folder import SPACE_NEEDED

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
SEPARATORS = {"&&", "||", "|", ";", ">", ">>", "&"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    found = FENCED.findall(read(page))
    return [
        textwrap.dedent(code) for _, kind, code in found if kind == language
    ]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCED.sub("", read(page))


def commands(script: str) -> Iterator[list[str]]:
    """The words of each `dropzoo` command in some lines of shell."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in SEPARATORS:
                words.append(word)
                continue
            if words[:1] == ["dropzoo"]:
                yield words[1:]
            words = []


def config_of(verb: str) -> type:
    return importlib.import_module(VERBS[verb].module).Config


def options_of(verb: str) -> set[str]:
    return {"--help", *option_names(config_of(verb))}


def not_existing(words: list[str]) -> list[str]:
    """What a command, complete or not, names that dropzoo does not have."""
    if not words or words[0].isupper():  # `dropzoo VERB --help`
        return []
    if words[0].startswith("-"):
        return [word for word in words if word not in ("--help", "--version")]
    if words[0] not in VERBS:
        return words[:1]
    named = {word.split("=")[0] for word in words if word.startswith("--")}
    return sorted(named - options_of(words[0]))


def top_level_names(module: str) -> set[str]:
    """What a module of the package offers, without importing it."""
    _, *parts = module.split(".")
    folder = ROOT / (parts[0] if parts else "dropzoo")
    file = "/".join(parts[1:]) + ".py" if parts[1:] else "__init__.pyi"
    tree = ast.parse(read(folder / file))
    return {
        name
        for node in tree.body
        for name in (
            [alias.asname or alias.name for alias in node.names]
            if isinstance(node, ast.Import | ast.ImportFrom)
            else [getattr(node, "name", "")]
        )
    }


def constant(file: str, name: str) -> int:
    """The first number of a constant; its module would import scikit-learn."""
    (number,) = re.findall(rf"^{name} = (\d+)", read(ROOT / file), re.MULTILINE)
    return int(number)


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {slug(heading) for heading in headings}


@every_page
def test_python_compiles(page):
    for code in blocks(page, "python"):
        compile(code, page.name, "exec")


@every_page
def test_python_imports_what_exists(page):
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (
                (node.module or "").split(".")[0] == "dropzoo"
            ):
                wanted = {alias.name for alias in node.names}
                assert wanted <= top_level_names(node.module)


@every_page
def test_json_is_json(page):
    for code in blocks(page, "json"):
        json.loads(code)


@every_page
def test_relative_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@every_page
def test_options_exist(page):
    inline = re.findall(r"`([^`]+)`", prose(page))
    for code in blocks(page, "bash") + inline:
        for words in commands(code):
            assert not not_existing(words), code
    known = set().union(*map(options_of, VERBS))
    alone = [code.split()[0] for code in inline if code.startswith("--")]
    assert set(alone) <= known


@every_page
def test_commands_are_understood(page):
    for script in blocks(page, "bash"):
        for words in commands(script):
            if words and words[0] in VERBS and "--help" not in words:
                verb, *options = words
                parse(config_of(verb), options, prog=verb, description="")


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("dropzoo finetune --epoch 3", ["--epoch"]),
        ("cd x && dropzoo evaluate RUN --top-k=1 | head", ["--top-k"]),
        ("dropzoo --verson", ["--verson"]),
        ("dropzoo tune", ["tune"]),
        ("dropzoo VERB --help", []),
        ("pip install dropzoo --no-deps", []),
    ],
)
def test_the_check_of_options_finds_mistakes(command, missing):
    found = [
        name for words in commands(command) for name in not_existing(words)
    ]
    assert found == missing


def test_there_is_python_to_compile():
    assert sum(len(blocks(page, "python")) for page in PAGES) > 3


def test_the_readme_links_every_page():
    links = re.findall(r"\]\((docs/[^)#]+)\)", read(ROOT / "README.md"))
    assert {ROOT / link for link in links} >= set(DOCS.glob("*.md"))


def test_the_page_on_data_shows_every_source():
    rows = re.findall(r"^\| `([\w:]+)` \|", read(DOCS / "data.md"), re.M)
    assert set(map(usage, SOURCES)) <= set(rows)


def test_the_page_on_data_states_the_limits_of_the_code():
    text = " ".join(read(DOCS / "data.md").split())
    assert f"| pixels of an image | {MAX_PIXELS:,} |" in text
    assert f"| bytes of an image file | {MAX_BYTES:,} |" in text
    assert f"at least {MIN_SIDE} pixels" in text
    enough = constant("evaluation/folds.py", "ENOUGH")
    assert f"fewer than {enough} validation images" in text
    folds = constant("evaluation/folds.py", "NUM_FOLDS")
    assert f"cross-validation in {folds} folds" in text
    features = constant("evaluation/probe.py", "MEMORY_LIMIT")
    assert f"fit the head | {features} MiB" in text
    assert f"larger than {SMALL_SIDE} pixels" in text
    assert f"| {SPACE_NEEDED // 2**20} MiB free" in text


def test_the_page_on_the_run_folder_lists_every_option():
    listed = re.findall(
        r"^\| `(\w+)` \| `(--[\w-]+)` \|", read(DOCS / "run-folder.md"), re.M
    )
    names = [field.name for field in dataclasses.fields(finetune.Config)]
    assert listed == [(name, f"--{name.replace('_', '-')}") for name in names]
