import dataclasses
from typing import Annotated

import pytest
import tyro

from dropzoo.recipes.option_groups import flatten, option_names, unflatten
from dropzoo.recipes.options import command, parse


@dataclasses.dataclass(frozen=True)
class Photos:
    """What is learned from."""

    data: str = "digits"
    """Source."""
    image_size: int | None = None
    """Pixels."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of a made-up verb."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")] = ""
    """Folder."""
    photos: tyro.conf.OmitArgPrefixes[Photos] = Photos()
    seed: int = 0
    """Seed."""
    out: str | None = None
    """Folder."""


CONFIG = Config("x", Photos("cifar10", 24), seed=3)
VALUES = {
    "run": "x",
    "data": "cifar10",
    "image_size": 24,
    "seed": 3,
    "out": None,
}


def test_values_are_flat_and_come_back():
    assert flatten(CONFIG) == VALUES
    assert unflatten(Config, VALUES) == CONFIG


def test_what_is_missing_has_its_default():
    assert unflatten(Config, {"seed": 3}) == Config(seed=3)


def test_words_reach_their_group():
    words = ["x", "--data", "cifar10", "--image-size", "24", "--seed", "3"]
    read = parse(Config, words, prog="dropzoo train", description="")
    assert read == CONFIG


def test_names_are_those_of_the_command_line():
    assert option_names(Config) == [
        "--data",
        "--image-size",
        "--seed",
        "--out",
    ]


def test_a_misspelt_option_of_a_group_offers_the_right_one(capsys):
    with pytest.raises(SystemExit):
        parse(Config, ["--image-sise", "3"], prog="dropzoo x", description="")
    assert "did you mean `--image-size`" in capsys.readouterr().err


def test_the_command_names_what_is_not_the_default():
    words = command("train", dataclasses.replace(CONFIG, run="", out="there"))
    assert words == "dropzoo train --data cifar10 --image-size 24 --seed 3"
