"""Says what a recipe is doing, and keeps the seconds of every step."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dropzoo.recipes.interruption import check_interruption


@dataclasses.dataclass(frozen=True)
class Bar:
    """One progress bar. Where it moves, a Ctrl-C that was noted is answered.

    Args:
        progress: The display it belongs to.
        task: Its number there.
    """

    progress: Progress
    task: TaskID

    def advance(self, units: int) -> None:
        """Moves on by some units."""
        self.progress.advance(self.task, units)
        check_interruption()

    def advance_to(self, done: int, total: int) -> None:
        """Moves to a number of units out of a total."""
        self.progress.update(self.task, completed=done, total=total)
        check_interruption()


class Steps:
    """The numbered steps of a recipe, with progress bars and timings.

    Attributes:
        console: Where sentences go: standard error, so that standard output
            is left to results.
        seconds: `(step, seconds)` of each step that has ended, in order.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, emoji=False)
        self.seconds: list[tuple[str, float]] = []

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announces a step and takes its time.

        Raises: KeyboardInterrupt when a Ctrl-C was noted before it.
        """
        check_interruption()
        self.console.print(f"[bold]{len(self.seconds) + 1}. {name}[/bold]")
        start = time.perf_counter()
        yield
        self.seconds.append((name, time.perf_counter() - start))

    def say(self, sentence: str) -> None:
        """Prints a sentence below the step it belongs to."""
        self.console.print(f"   {sentence}", markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def bar(self, label: str, total: int | None = None) -> Iterator[Bar]:
        """Shows a progress bar with an estimate of what is left.

        Args:
            label: What is being done.
            total: Number of units; `None` where it is not known yet.

        Yields: The bar, which goes away at the end.
        """
        progress = Progress(
            TextColumn("   {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        with progress:
            yield Bar(progress, progress.add_task(label, total=total))

    @property
    def total(self) -> float:
        """Seconds of all steps that have ended."""
        return sum(seconds for _, seconds in self.seconds)
