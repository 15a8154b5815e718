"""The trials of a search as they end, best marked, on a terminal or a pipe."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dropzoo.search.trial_record import TUNER, tried_values

if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial
    from rich.table import Table

MARK = "*"
ROOM = 6  # lines of a terminal that are not rows: headings and others' lines


class SearchProgress:
    """A table that grows by a row with each trial.

    On a terminal it is drawn anew and shows the last rows that there is room
    for, and the best; in a file or a pipe it is a line for each trial.

    Args:
        objective: Name of the score.
        direction: `"max"` or `"min"`.
        planned: Number of trials, or `None` where that is not known.
        verbose: Whether to show anything.
    """

    def __init__(
        self,
        objective: str,
        direction: str,
        planned: int | None = None,
        *,
        verbose: bool = True,
    ):
        from rich.console import Console
        from rich.live import Live

        self.objective = objective
        self.direction = direction
        self.planned = planned
        self.verbose = verbose
        self.rows: list[tuple[float | None, dict[str, str]]] = []
        self.stream = sys.stdout  # whatever is made of it later
        self.console = Console(file=self.stream)
        self.live = Live(console=self.console, auto_refresh=False)

    def __enter__(self) -> "SearchProgress":
        if self.verbose and self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def show(self, trial: "Trial", epochs: int, seconds: float) -> None:
        """Adds a trial.

        Args:
            trial: A trial that ended.
            epochs: Number of epochs that it ran.
            seconds: How long it took.
        """
        values = trial.hyperparameters.values
        row = {
            "trial": trial.trial_id,
            self.objective: "-" if trial.score is None else _text(trial.score),
            **{name: _text(x) for name, x in tried_values(values).items()},
            "stage": str(values.get(f"{TUNER}stage", 1)),
            "epochs": str(epochs),
            "seconds": f"{seconds:.1f}",
        }
        if trial.message:
            row["note"] = trial.message
        self.rows.append((trial.score, row))
        if not self.verbose:
            return
        if self.console.is_terminal:
            self.live.update(self.table(), refresh=True)
        else:
            line = self.line(row, len(self.rows) - 1)
            print(line, file=self.stream, flush=True)

    def line(self, row: Mapping[str, str], position: int) -> str:
        """A trial in one line: `val_acc: 0.41, lr: 1.4e-4, ... (1 / 100)`.

        Args:
            row: What `show` made of it.
            position: Among the trials that ended.
        """
        facts = dict(row)
        first = facts.pop(self.objective)
        number, note = facts.pop("trial"), facts.pop("note", "")
        listed = {self.objective: first, **facts}
        text = ", ".join(f"{name}: {value}" for name, value in listed.items())
        mark = f" {MARK}" if position == self.best() else ""
        of = f" / {self.planned}" if self.planned else ""
        return f"{text} (trial {number}{of}){mark} {note}".rstrip()

    def best(self) -> int | None:
        """Position of the best trial so far."""
        sign = 1 if self.direction == "max" else -1
        scored = [
            (sign * score, -position)
            for position, (score, _) in enumerate(self.rows)
            if score is not None
        ]
        return -max(scored)[1] if scored else None

    def table(self) -> "Table":
        """The last rows that fit, and the best."""
        from rich import box
        from rich.table import Table

        best = self.best()
        first = max(0, len(self.rows) - max(3, self.console.height - ROOM))
        shown = sorted({*range(first, len(self.rows)), best} - {None})
        names = dict.fromkeys(n for _, row in self.rows for n in row)
        table = Table(box=box.SIMPLE_HEAD)
        for name in ("", *sorted(names, key=_order)):
            table.add_column(name, overflow="fold")
        for position in shown:
            row = self.rows[position][1]
            is_best = position == best
            table.add_row(
                MARK if is_best else "",
                *(row.get(name, "") for name in sorted(names, key=_order)),
                style="bold" if is_best else None,
            )
        return table


def _order(name: str) -> int:
    """The notes stand last; all other columns as they came."""
    return name == "note"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
