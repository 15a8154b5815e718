"""Steps are announced on standard error and timed."""

import time

import pytest

from dropzoo.recipes.steps import Steps


def test_steps_are_numbered_and_timed(capsys):
    steps = Steps()
    for name in ("Look", "Think"):
        with steps.step(name):
            time.sleep(0.01)
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == ["1. Look", "2. Think"]
    assert [name for name, _ in steps.seconds] == ["Look", "Think"]
    assert steps.total == sum(seconds for _, seconds in steps.seconds) >= 0.02


@pytest.mark.parametrize("name", ["[red]", ":apple:", "[/]", "a " * 100])
def test_sentences_are_printed_as_they_are(name, capsys):
    Steps().say(f"found {name}.")
    assert capsys.readouterr().err == f"   found {name}.\n"


def test_a_step_that_fails_is_not_counted():
    steps = Steps()
    with pytest.raises(KeyError), steps.step("Look"):
        raise KeyError
    assert steps.seconds == []


def test_a_bar_counts_up_and_goes_away(capsys):
    with Steps().bar("photos", 10) as bar:
        bar.advance(3)
        bar.advance_to(7, 20)
        (task,) = bar.progress.tasks
        assert (task.completed, task.total) == (7, 20)
    assert capsys.readouterr().out == ""
