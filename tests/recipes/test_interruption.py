"""Ctrl-C is noted wherever it lands, and answered where the program asks."""

import os
import signal
import threading
import weakref

import pytest

from dropzoo.recipes.interruption import check_interruption, interruptible


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def press_ctrl_c_in_a_weakref_callback() -> None:
    """Where Python prints what a handler raises, and goes on."""

    class Thing:
        pass

    thing = Thing()
    watch = weakref.ref(thing, lambda reference: press_ctrl_c())
    del thing
    assert watch() is None


@pytest.fixture(autouse=True)
def python_handler():
    """Each test starts and ends with Python's own handler."""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_python_itself_loses_it_in_a_weakref_callback():
    press_ctrl_c_in_a_weakref_callback()  # the reason for all of this


def test_it_is_not_lost_in_a_weakref_callback():
    with interruptible():
        press_ctrl_c_in_a_weakref_callback()
        with pytest.raises(KeyboardInterrupt):
            check_interruption()


def test_it_waits_for_the_check():
    done = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        press_ctrl_c()
        done.append("the batch")
        check_interruption()
        done.append("another batch")
    assert done == ["the batch"]


def test_a_second_one_raises_at_once():
    with interruptible():
        press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()


def test_it_is_acknowledged_on_standard_error(capfd):
    with interruptible():
        press_ctrl_c()
    assert "Stopping after this batch" in capfd.readouterr().err


def test_without_ctrl_c_nothing_stops():
    check_interruption()
    with interruptible():
        check_interruption()


def test_one_that_comes_after_the_last_check_is_dropped():
    with interruptible():
        press_ctrl_c()
    with interruptible():
        check_interruption()


def test_python_takes_over_behind_the_block():
    with interruptible():
        pass
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()


def test_other_threads_change_no_handler():
    seen = []

    def work():
        with interruptible():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


@pytest.mark.parametrize("theirs", [signal.SIG_IGN, lambda *args: None])
def test_the_handler_of_somebody_else_stays(theirs):
    before = signal.signal(signal.SIGINT, theirs)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGINT) is theirs
            os.kill(os.getpid(), signal.SIGINT)
            check_interruption()
    finally:
        signal.signal(signal.SIGINT, before)
