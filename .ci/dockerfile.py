"""Runs the RUN lines of the Dockerfile where no container engine runs.

The base image is stood in for by a new virtual environment, the image's
folders by a copy of the sources; build arguments take their defaults. At the
end the ENTRYPOINT answers `--version`.

    python .ci/dockerfile.py
"""

import json
import os
import shlex
import shutil
import string
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
# What prepares the system and not the program: no machine gets a user for it.
SYSTEM_COMMANDS = ("useradd",)


class Instruction(NamedTuple):
    """One line of a Dockerfile: `RUN`, and what it runs."""

    name: str
    text: str


def read_instructions(dockerfile: str) -> list[Instruction]:
    """Splits a Dockerfile.

    Args:
        dockerfile: Its text. A line that ends in a backslash goes on in the
            next; comments are left out.

    Returns:
        Its instructions, in order.
    """
    lines = [
        line
        for line in dockerfile.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    whole = "\n".join(lines).replace("\\\n", "")
    return [Instruction(*line.split(maxsplit=1)) for line in whole.splitlines()]


def build_arguments(instructions: list[Instruction]) -> dict[str, str]:
    """Returns the default of every build argument."""
    pairs = (i.text.split("=") for i in instructions if i.name == "ARG")
    return {name: value for name, value in pairs}


def entry_point(instructions: list[Instruction]) -> list[str]:
    """Returns the words of the ENTRYPOINT."""
    (text,) = (i.text for i in instructions if i.name == "ENTRYPOINT")
    return json.loads(text)


def run_lines(instructions: list[Instruction]) -> list[str]:
    """Returns the RUN lines that set up the program, arguments filled in."""
    arguments = build_arguments(instructions)
    lines = (i.text for i in instructions if i.name == "RUN")
    return [
        string.Template(line).safe_substitute(arguments)
        for line in lines
        if shlex.split(line)[0] not in SYSTEM_COMMANDS
    ]


def copy_sources(target: Path) -> None:
    """Copies what COPY would: everything that .dockerignore lets through."""
    ignored = (ROOT / ".dockerignore").read_text().split()
    patterns = (pattern.removeprefix("**/") for pattern in ignored)
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*patterns))


def main() -> int:
    """Runs the RUN lines, then the ENTRYPOINT; stops at the first failure."""
    instructions = read_instructions((ROOT / "Dockerfile").read_text())
    with tempfile.TemporaryDirectory() as folder:
        sources, system = Path(folder, "sources"), Path(folder, "system")
        copy_sources(sources)
        venv.create(system, with_pip=True)
        path = f"{system / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path}
        commands = [
            *run_lines(instructions),
            shlex.join([*entry_point(instructions), "--version"]),
        ]
        for command in commands:
            print(f"+ {command}", flush=True)
            run = subprocess.run(
                ["sh", "-c", command], cwd=sources, env=environment
            )
            if run.returncode:
                return run.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
