"""The report of a search: one file that opens anywhere."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from dropzoo.evaluation.report_headline import figure
from dropzoo.evaluation.report_markup import element
from dropzoo.evaluation.report_numbers import seconds
from dropzoo.evaluation.report_page import Section, write_page
from dropzoo.evaluation.report_tables import facts

from .best_so_far import best_section
from .importance_section import importance_section
from .parallel_coordinates import parallel_section
from .score_scatter import scatter_section
from .search_record import SearchRecord, read_search, score_of
from .search_style import SEARCH_STYLE
from .stage_ranges import stages_section
from .trial_table import sentence, table_section


def write_search_report(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "A search",
    summary: Sequence[str] = (),
) -> Path:
    """Writes the report of a search, finished or under way.

    Any project of KerasTuner will do. The file appears under its name when it
    is whole; one that is there already is replaced.

    Args:
        folder: The project folder: `directory` and `project_name` of the
            tuner, joined.
        path: The file to write. Defaults to `search.html` in the folder.
        title: Heading of the page.
        summary: Sentences below the heading.

    Returns:
        The path of the file.

    Raises:
        ValueError: The folder is not that of a search.
        FileNotFoundError: The folder of `path` does not exist.

    Example:

    ```python
    tuner = keras_tuner.RandomSearch(
        build, "val_accuracy", directory="searches", project_name="first"
    )
    tuner.search(x, y, validation_split=0.2)
    write_search_report("searches/first")
    ```
    """
    folder = Path(folder)
    record = read_search(folder)
    path = folder / "search.html" if path is None else Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            "write_search_report: the folder of `path` must exist. "
            f"Received: {path}"
        )
    write_page(path, title, summary, _sections(record), style=SEARCH_STYLE)
    return path


def _sections(record: SearchRecord) -> list[Section]:
    return [
        Section("result", "The best trial", _headline(record)),
        Section("together", "All trials at once", parallel_section(record)),
        Section("progress", "Best so far", best_section(record)),
        Section("stages", "Where each stage looked", stages_section(record)),
        Section("importance", "What mattered", importance_section(record)),
        Section(
            "parameters", "The score by parameter", scatter_section(record)
        ),
        Section("trials", "All trials, the best first", table_section(record)),
    ]


def _headline(record: SearchRecord) -> list[Element]:
    if not record.scored:
        return [element("p", _nothing(record), class_="note")]
    best = record.scored[0]
    values = {p.name: best.values.get(p.name) for p in record.parameters}
    there = {name: v for name, v in values.items() if v is not None}
    hero = element(
        "div",
        element("p", f"{score_of(best):.4g}", class_="hero"),
        element(
            "p",
            f"is the best {record.objective}, that of trial {best.trial_id}. "
            "It was chosen by this score, so expect somewhat less of it "
            "elsewhere.",
        ),
    )
    figures = element("dl", list(_figures(record)), class_="figures")
    return [
        element("div", hero, figures, class_="headline"),
        element("h3", "Its settings"),
        facts(there),
    ]


def _figures(record: SearchRecord) -> Iterator[Element]:
    trials, failed = record.trials, len(record.failed)
    note = f"{failed} without a score" if failed else ""
    yield figure("Trials", f"{len(trials):,}", note)
    epochs = sum(trial.epochs for trial in trials)
    if epochs:
        yield figure("Epochs", f"{epochs:,}", "of all trials together")
    spent = sum(trial.seconds for trial in trials)
    if spent:
        yield figure("Time", seconds(spent), "spent in trials")


def _nothing(record: SearchRecord) -> str:
    failed = record.failed
    if not failed:
        return "No trial has ended yet."
    last = sentence(failed[-1].message or "") or "nothing was said"
    return (
        f"None of {len(failed)} trials that ended has a score. The last of "
        f"them: {last}"
    )
