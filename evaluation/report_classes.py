"""How well each class is told from the others."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from .metrics import ClassScores, Metrics
from .report_content import ReportContent
from .report_markup import element
from .report_numbers import percent
from .report_tables import (
    Cell,
    bar_cell,
    folded_table,
    heading_cell,
    word_heading,
)

DASH = "\N{EN DASH}"


def classes_section(content: ReportContent) -> list[Element]:
    """Shows the scores of every class, the worst first."""
    metrics = content.metrics
    if metrics is None:
        return []
    order = sorted(
        range(len(metrics.per_class)),
        key=lambda i: _rank(metrics.per_class[i]),
    )
    headings: list[Cell] = [
        "Class",
        "Images",
        "Precision",
        "Recall",
        word_heading("F1"),
    ]
    rows = [_row(metrics, content.class_names, i) for i in order]
    return [
        element(
            "p",
            "Precision: of the images given this class, the share that is "
            "right. Recall: of the images of this class, the share that was "
            "found. F1: their harmonic mean. The worst class comes first.",
        ),
        element(
            "div",
            folded_table(headings, rows, label="Scores of every class"),
            class_="scores",
        ),
    ]


def _rank(scores: ClassScores) -> float:
    """Ranks by F1, classes without examples last."""
    return 2.0 if scores.f1 is None else scores.f1


def _row(metrics: Metrics, class_names: Sequence[str], i: int) -> list[Cell]:
    scores = metrics.per_class[i]
    named = heading_cell(
        element("bdi", scores.name), _rival(metrics, class_names, i)
    )
    if scores.precision is None or scores.recall is None or scores.f1 is None:
        return [named, "0", DASH, DASH, DASH]
    return [
        named,
        f"{scores.support:,}",
        percent(scores.precision, 0),
        percent(scores.recall, 0),
        bar_cell(scores.f1, 0),
    ]


def _rival(
    metrics: Metrics, class_names: Sequence[str], i: int
) -> Element | None:
    """Names the class that this one is most often taken for."""
    wrong = metrics.confusion[i].copy()
    wrong[i] = 0
    rival = int(np.argmax(wrong))
    if not wrong[rival]:
        return None
    return element(
        "small",
        f"{wrong[rival]:,} taken for ",
        element("bdi", class_names[rival]),
    )
