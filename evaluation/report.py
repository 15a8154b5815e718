"""The report of a run: one file that opens anywhere and asks no network."""

import os
from pathlib import Path

from .report_calibration import calibration_section
from .report_classes import classes_section
from .report_confusion import confusion_section
from .report_content import ReportContent
from .report_data import data_section
from .report_facts import model_section, repeat_section, timings_section
from .report_headline import headline_section
from .report_members import members_section
from .report_mistakes import mistakes_section
from .report_page import Section, write_page
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
    sections = [
        Section(key, heading, section(content))
        for key, heading, section in SECTIONS
    ]
    write_page(path, content.title, content.summary, sections)


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
