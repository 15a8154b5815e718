from types import SimpleNamespace

import pytest

from dropzoo.search.search_progress import SearchProgress


def trial(number, score, message=None):
    values = {"lr": 1e-4 * (number + 1), "tuner/stage": 1, "tuner/epochs": 2}
    return SimpleNamespace(
        trial_id=f"{number:02d}",
        score=score,
        message=message,
        hyperparameters=SimpleNamespace(values=values),
    )


def test_each_trial_is_a_line_of_the_listing(capsys):
    progress = SearchProgress("val_acc", "max", 3)
    with progress:
        progress.show(trial(0, 0.5), 2, 1.25)
        progress.show(trial(1, None, "Diverged."), 0, 0.5)
        progress.show(trial(2, 0.75), 2, 0.5)
    assert capsys.readouterr().out.splitlines() == [
        "val_acc: 0.5, lr: 0.0001, stage: 1, epochs: 2, seconds: 1.2 "
        "(trial 00 / 3) *",
        "val_acc: -, lr: 0.0002, stage: 1, epochs: 0, seconds: 0.5 "
        "(trial 01 / 3) Diverged.",
        "val_acc: 0.75, lr: 0.0003, stage: 1, epochs: 2, seconds: 0.5 "
        "(trial 02 / 3) *",
    ]


@pytest.mark.parametrize(("direction", "best"), [("max", 4), ("min", 7)])
def test_the_best_is_the_highest_or_the_lowest(direction, best):
    progress = SearchProgress("score", direction, verbose=False)
    assert progress.best() is None
    for number, score in enumerate([3, 4, None, 5, 9, 9, 4, 1]):
        progress.show(trial(number, score), 1, 0.1)
    assert progress.best() == best


def test_a_terminal_shows_the_last_rows_and_the_best(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes that for a terminal
    monkeypatch.setenv("LINES", "16")
    progress = SearchProgress("score", "max", 30)
    with progress:
        for number in range(30):
            progress.show(trial(number, float(number == 4)), 1, 0.1)
    table = progress.table()
    numbers = list(table.columns[1].cells)
    assert numbers == ["04", *(f"{x:02d}" for x in range(20, 30))]
    assert list(table.columns[0].cells) == ["*"] + [""] * 10
    assert "04" in capsys.readouterr().out


def test_nothing_is_shown_when_not_asked_for(capsys):
    progress = SearchProgress("score", "max", verbose=False)
    with progress:
        progress.show(trial(0, 1.0), 1, 0.1)
    assert capsys.readouterr().out == ""
