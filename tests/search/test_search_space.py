"""Ranges of a search as data: narrowed, widened, refused."""

import pickle
import subprocess
import sys

import pytest

from dropzoo.search.ranges import Choice, Continuous, Fixed, Whole
from dropzoo.search.search_space import SearchSpace
from dropzoo.search.space_words import read_space


def test_what_is_not_changed_stays():
    default, changed = SearchSpace(), SearchSpace().changed(dropout=0.5)
    assert changed["dropout"] == Fixed(0.5)
    assert {x for x in default if default[x] != changed[x]} == {"dropout"}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("peak_rate", (1e-4, 1), Continuous(1e-4, 1.0, log=True)),
        ("peak_rate", Continuous(1e-4, 1.0), Continuous(1e-4, 1.0)),
        ("dropout", (0, 0.9), Continuous(0.0, 0.9)),
        ("hidden_units", (16, 64), Whole(16, 64)),
        ("hidden_units", [16, 64], Choice((16, 64))),
        ("hidden_units", Choice([16, 64]), Choice((16, 64))),
        ("hidden_units", 16, Fixed(16)),
        ("image_size", None, Fixed(None)),
        ("backbone", ["lenet5"], Choice(("lenet5",))),
        ("backbone", ("lenet5", "notes_cnn"), Choice(("lenet5", "notes_cnn"))),
    ],
)
def test_plain_values_stand_for_ranges(name, given, expected):
    assert SearchSpace().changed(**{name: given})[name] == expected


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (
            "peak_rate=1e-5..1e-1 backbone=lenet5,notes_cnn freeze=all",
            {
                "peak_rate": (1e-5, 1e-1),
                "backbone": ["lenet5", "notes_cnn"],
                "freeze": "all",
            },
        ),
        (
            "hidden_units=16..64 dropout=0",
            {"hidden_units": (16, 64), "dropout": 0},
        ),
        ("", {}),
    ],
)
def test_words_say_what_python_says(words, changes):
    assert read_space(words) == SearchSpace().changed(**changes)


def test_a_range_is_written_as_it_is_read():
    words = (
        "peak_rate=0.0001..0.01 hidden_units=8..64 freeze=all,none dropout=0.5"
    )
    space = read_space(words)
    names = [word.split("=")[0] for word in words.split()]
    assert " ".join(f"{name}={space[name]}" for name in names) == words


def test_words_change_a_space_that_is_given():
    space = read_space("dropout=0.1", SearchSpace().changed(freeze="none"))
    assert (space["dropout"], space["freeze"]) == (Fixed(0.1), Fixed("none"))


def test_a_space_goes_to_another_process():
    space = SearchSpace().changed(peak_rate=0.1)
    assert pickle.loads(pickle.dumps(space)) == space


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"peak_rates": 1}, "no parameter `peak_rates`; did you mean `peak_r"),
        ({"xyz": 1}, "no parameter `xyz`; the parameters are backbone, "),
        ({"freeze": []}, "`freeze` must have at least one value"),
        ({"freeze": ["all", "all"]}, "`freeze` must have each value once"),
        ({"freeze": "half"}, "`freeze` must be one of all, none, stride_2"),
        ({"freeze": Continuous(0, 1)}, "`freeze` must be a name, several"),
        ({"freeze": None}, "`freeze` must have a value"),
        ({"dropout": (0.5, 0.1)}, "`dropout` must begin below its end. Rec"),
        ({"dropout": (0.5, 0.5)}, "Received: dropout=0.5..0.5"),
        ({"dropout": (0, 1)}, "`dropout` must be in [0, 1)"),
        ({"dropout": "much"}, "must be a number, several, or an interval"),
        ({"dropout": (0, "much")}, "Received: dropout='much'"),
        ({"dropout": True}, "Received: dropout=True"),
        ({"peak_rate": (0, 1)}, "`peak_rate` must be above 0"),
        ({"weight_decay": (0, 1)}, "must begin above 0 where every factor"),
        ({"weight_decay": -1}, "`weight_decay` must be at least 0"),
        ({"hidden_units": 1.5}, "`hidden_units` must be a whole number"),
        ({"hidden_units": Continuous(1, 2)}, "an interval of whole numbers"),
        ({"hidden_units": Whole(1, 9, 0)}, "have a step of at least 1, not 0"),
        ({"image_size": 0}, "`image_size` must be above 0"),
        ({"backbone": "resnet20"}, "did you mean 'resnet"),
        ({"augmentation": "weak"}, "must be one of none, light, strong"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(changes, sentence):
    with pytest.raises((ValueError, TypeError)) as refusal:
        SearchSpace().changed(**changes)
    assert sentence in str(refusal.value)


def test_an_interval_of_names_is_refused():
    with pytest.raises(ValueError, match="not an interval"):
        SearchSpace().changed(freeze=Whole("all", "none"))


def test_a_space_without_a_parameter_is_refused():
    with pytest.raises(ValueError, match="none for backbone, image_size"):
        SearchSpace({"dropout": Fixed(0.1)})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("dropout", "a word must be NAME=VALUE"),
        ("dropout=", "a word must be NAME=VALUE"),
        ("dropout=0 dropout=1", "`dropout` must be given once"),
        ("dropuot=0", "did you mean `dropout`"),
        ("dropout=0..much", "Received: dropout='much'"),
        ("freeze=all,", "`freeze` must be one of"),
        ("freeze=all..none", "`freeze` must"),
        ("peak_rate=0.1..", "Received: peak_rate=''"),
    ],
)
def test_words_that_cannot_be_read_are_refused(words, sentence):
    with pytest.raises((ValueError, TypeError)) as refusal:
        read_space(words)
    assert sentence in str(refusal.value)


def test_no_backend_is_needed():
    code = (
        "import sys; from dropzoo.search import SearchSpace, read_space; "
        "read_space('backbone=lenet5'); "
        "print({'keras', 'tensorflow', 'keras_tuner'} & set(sys.modules))"
    )
    words = [sys.executable, "-c", code]
    output = subprocess.run(words, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "set()"
