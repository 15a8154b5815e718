"""Mounts the folders of the repository root into one import package.

The folders stand at the root so that a reader finds them at once; users
import them as `dropzoo.layers`, `dropzoo.models` and so on. Everything else
about the package is in `pyproject.toml`.
"""

from setuptools import setup

FOLDERS = (
    "layers",
    "schedules",
    "models",
    "callbacks",
    "data",
    "evaluation",
    "search",
    "recipes",
)

setup(
    packages=["dropzoo", *(f"dropzoo.{folder}" for folder in FOLDERS)],
    package_dir={
        "dropzoo": "dropzoo",
        **{f"dropzoo.{folder}": folder for folder in FOLDERS},
    },
)
