"""Steps are announced on standard error and timed."""

import signal
import time

import pytest

from dropzoo.recipes.interruption import interruptible
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


@pytest.mark.parametrize(
    "move", [lambda bar: bar.advance(1), lambda bar: bar.advance_to(1, 2)]
)
def test_a_bar_that_moves_answers_ctrl_c(move):
    with interruptible(), Steps().bar("photos", 10) as bar:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            move(bar)


def test_no_step_begins_after_ctrl_c():
    steps = Steps()
    with interruptible():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), steps.step("Look"):
            pytest.fail("it began")
    assert steps.seconds == []
