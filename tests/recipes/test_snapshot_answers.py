"""Which snapshots are kept, and what is told of them."""

from pathlib import Path

import numpy as np
import pytest

from dropzoo.recipes.snapshot_answers import (
    SINGLE,
    Answers,
    Choice,
    compare,
)
from dropzoo.recipes.snapshot_members import Member, Members


def members(number):
    return Members(
        None,
        [Member(k, 30 * k, 3 * k, Path("x")) for k in range(1, number + 1)],
    )


def shares(*of_class_0):
    """Probabilities of two classes, `(1, images, 2)`."""
    first = np.array(of_class_0)
    return np.stack([first, 1 - first], axis=-1)


LABELS = np.array([0, 0])
POOR, HALF, GOOD = [0.1, 0.1], [0.9, 0.2], [0.2, 0.9]


@pytest.mark.parametrize(
    ("tables", "number", "name"),
    [
        ([HALF, GOOD], 2, "last 2 together"),
        ([POOR, HALF, GOOD], 2, "last 2 together"),
        ([POOR, POOR, [0.9, 0.9]], 1, "snapshot 3 (epoch 9)"),
    ],
)
def test_as_many_are_kept_as_have_the_lowest_loss(tables, number, name):
    answers = Answers(LABELS, shares(*tables))
    choice = Choice.of(members(len(tables)), answers)
    assert (choice.number, choice.name) == (number, name)
    assert f"of {len(tables)} snapshots" in choice.reason


def test_without_validation_photos_all_are_kept():
    choice = Choice.of(members(3), None)
    assert (choice.number, choice.name) == (3, "last 3 together")


def test_every_contender_is_judged_on_both_splits():
    validation = Answers(LABELS, shares(HALF, GOOD), shares([0.6, 0.4])[0])
    test = Answers(LABELS, shares(POOR, GOOD), shares([0.6, 0.6])[0])
    choice = Choice.of(members(2), validation)
    figures = compare(members(2), choice, validation, test, b"")
    errors = {
        x.name: (x.validation_error, x.test_error) for x in figures.contenders
    }
    assert errors == {
        "snapshot 1 (epoch 3)": (0.5, 1.0),
        "snapshot 2 (epoch 6)": (0.5, 0.5),
        "last 2 together": (0.0, 0.5),
        SINGLE: (0.5, 0.0),
    }
    assert figures.kept == "last 2 together"
    assert figures.last == "snapshot 2 (epoch 6)"
    np.testing.assert_array_equal(figures.disagreement, [[0, 0.5], [0.5, 0]])
    assert figures.measured_on == "test"


def test_without_test_photos_validation_photos_tell_the_disagreement():
    validation = Answers(LABELS, shares(HALF, GOOD))
    choice = Choice.of(members(2), validation)
    figures = compare(members(2), choice, validation, None, b"")
    assert {x.test_error for x in figures.contenders} == {None}
    np.testing.assert_array_equal(figures.disagreement, [[0, 1], [1, 0]])
    assert figures.measured_on == "validation"
