"""README, Dockerfile and CI tell the same way to install and to start."""

import importlib.util
import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from dropzoo.cli import VERBS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_SCREEN = "\n".join(README.splitlines()[:40])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TWO_COMMANDS = [
    "pip install -e '.[demo]' && dropzoo finetune",
    "pip install -e '.[test]' && pytest",
]


@pytest.fixture(scope="module")
def dockerfile():
    """The module that runs the Dockerfile's lines in CI."""
    path = ROOT / ".ci" / "dockerfile.py"
    spec = importlib.util.spec_from_file_location("dockerfile", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def instructions(dockerfile):
    return dockerfile.read_instructions((ROOT / "Dockerfile").read_text())


def test_the_first_screen_shows_the_two_commands():
    found = re.findall(r"^pip install .* && .*$", FIRST_SCREEN, re.MULTILINE)
    assert found == TWO_COMMANDS


def test_ci_takes_both_commands_from_the_readme():
    script = (ROOT / ".ci" / "run").read_text()
    (pattern,) = re.findall(r"grep '(.*)' README\.md", script)
    found = subprocess.run(
        ["grep", pattern, ROOT / "README.md"], capture_output=True, text=True
    )
    assert found.stdout.splitlines() == TWO_COMMANDS
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)


def test_the_readme_names_every_verb():
    named = re.findall(r"^\| `dropzoo ([\w-]+)", README, re.MULTILINE)
    assert named == list(VERBS)


def test_extras_of_readme_and_dockerfile_exist(instructions, dockerfile):
    lists = re.findall(r"(?:\.\[|EXTRAS=)([\w,]+)", README)
    lists += dockerfile.build_arguments(instructions).values()
    named = set(",".join(lists).split(","))
    assert {"demo", "gpu", "test"} <= named
    assert named <= PROJECT["optional-dependencies"].keys()


def test_the_dockerfile_installs_as_the_readme_does(instructions, dockerfile):
    install = TWO_COMMANDS[0].split(" && ")[0]
    (line,) = dockerfile.run_lines(instructions)
    assert shlex.split(line) == shlex.split(install)


def test_the_dockerfile_starts_what_the_readme_starts(instructions, dockerfile):
    start = TWO_COMMANDS[0].split(" && ")[1]
    (words,) = (i.text for i in instructions if i.name == "CMD")
    command = dockerfile.entry_point(instructions) + json.loads(words)
    assert command == shlex.split(start)


def test_the_container_does_not_run_as_root(instructions):
    users = [i.text for i in instructions if i.name == "USER"]
    assert users and users[-1] not in ("root", "0")


def test_the_image_has_a_python_that_the_package_supports(instructions):
    assert instructions[0].name == "FROM"
    version = re.fullmatch(r"python:3\.(\d+)-slim", instructions[0].text)
    required = re.fullmatch(r">=3\.(\d+)", PROJECT["requires-python"])
    assert int(version[1]) >= int(required[1])


def test_instructions_join_lines_and_skip_comments(dockerfile):
    text = '# a\nARG EXTRAS=demo\n\nRUN pip install \\\n    ".[${EXTRAS}]"\n'
    instructions = dockerfile.read_instructions(text)
    assert [i.name for i in instructions] == ["ARG", "RUN"]
    (line,) = dockerfile.run_lines(instructions)
    assert shlex.split(line) == ["pip", "install", ".[demo]"]


def test_users_of_the_image_are_not_made_on_this_machine(dockerfile):
    text = "RUN useradd --create-home someone\nRUN true"
    lines = dockerfile.run_lines(dockerfile.read_instructions(text))
    assert lines == ["true"]
