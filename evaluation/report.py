"""The report of a run: one file that opens anywhere and asks no network."""

import os
from pathlib import Path
from xml.etree.ElementTree import Element

from .report_calibration import calibration_section
from .report_classes import classes_section
from .report_confusion import confusion_section
from .report_content import ReportContent
from .report_data import data_section
from .report_facts import model_section, repeat_section, timings_section
from .report_headline import headline_section
from .report_markup import element, render
from .report_members import members_section
from .report_mistakes import mistakes_section
from .report_style import STYLE
from .report_training import training_section

SECTIONS = (
    ("result", "Result", headline_section),
    ("data", "What was found in the data", data_section),
    ("model", "Model", model_section),
    ("training", "Training", training_section),
    ("members", "The snapshots, alone and together", members_section),
    ("confusion", "What is taken for what", confusion_section),
    ("classes", "Class by class", classes_section),
    ("calibration", "Can its confidence be trusted?", calibration_section),
    ("mistakes", "Most confident mistakes", mistakes_section),
    ("timings", "Where the time went", timings_section),
    ("repeat", "Repeat this run", repeat_section),
)

# Whatever a file name may hold, the page can neither run nor fetch anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_report(path: str | os.PathLike[str], content: ReportContent) -> None:
    """Writes the report of a run.

    The file appears under its name when it is whole; one that is there
    already is replaced.

    Args:
        path: The file to write, such as `runs/first/report.html`.
        content: What to tell.

    Raises:
        FileNotFoundError: The folder of `path` does not exist.
        ValueError: Parts of the content contradict each other.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"write_report: the folder of `path` must exist. Received: {path}"
        )
    _check(content)
    page = "<!DOCTYPE html>\n" + render(_page(content)) + "\n"
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            # File names need not be Unicode; what is not, is spelled out.
            file.write(page.encode("utf-8", errors="backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _check(content: ReportContent) -> None:
    num_classes = len(content.class_names)
    if content.metrics and len(content.metrics.per_class) != num_classes:
        raise ValueError(
            "write_report: `class_names` must name the classes of `metrics`. "
            f"Received: {num_classes} names for "
            f"{len(content.metrics.per_class)} classes"
        )
    for split, counts in content.data.counts.items():
        if len(counts) != num_classes:
            raise ValueError(
                "write_report: `data.counts` must count every class. "
                f"Received: {len(counts)} counts in {split!r} for "
                f"{num_classes} classes"
            )
    comparison = content.comparison
    if comparison and comparison.kept not in comparison.scores:
        raise ValueError(
            "write_report: `comparison.kept` must be one of "
            f"{list(comparison.scores)}. Received: {comparison.kept!r}"
        )


def _page(content: ReportContent) -> Element:
    shown = [
        (key, heading, children)
        for key, heading, section in SECTIONS
        if (children := section(content))
    ]
    return element(
        "html",
        _head(content.title),
        element(
            "body",
            element(
                "header",
                element("h1", content.title),
                [element("p", line) for line in content.summary],
                _contents([(key, heading) for key, heading, _ in shown]),
            ),
            element("main", [_section(*parts) for parts in shown]),
            element("footer", "Written by dropzoo."),
        ),
        lang="en",
    )


def _head(title: str) -> Element:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element(
            "meta",
            name="viewport",
            content="width=device-width, initial-scale=1",
        ),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", STYLE),
    )


def _contents(headings: list[tuple[str, str]]) -> Element:
    links = [element("a", heading, href=f"#{key}") for key, heading in headings]
    return element("nav", links, aria_label="Contents")


def _section(key: str, heading: str, children: list[Element]) -> Element:
    return element(
        "section",
        element("h2", heading, id=f"{key}-heading"),
        children,
        id=key,
        aria_labelledby=f"{key}-heading",
    )
