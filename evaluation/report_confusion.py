"""Which class was taken for which."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from .metrics import Metrics
from .report_content import ReportContent
from .report_markup import Child, element
from .report_matrix import matrix_picture
from .report_numbers import percent
from .report_tables import (
    Cell,
    folded_table,
    heading_cell,
    legend,
    scrolling,
    word_cell,
    word_heading,
)

# Up to here every cell of the matrix holds its number.
MOST_NUMBERED = 20


def confusion_section(content: ReportContent) -> list[Element]:
    """Shows the matrix and the most frequent confusions."""
    if content.metrics is None:
        return []
    metrics, class_names = content.metrics, content.class_names
    shares = _shares(metrics.confusion)
    frequent = _frequent(metrics, class_names)
    if len(class_names) <= MOST_NUMBERED:
        table = _numbered(metrics.confusion, shares, class_names)
        shown: Child = element("div", table, frequent, class_="beside")
    else:
        shown = [matrix_picture(shares, class_names), frequent]
    return [
        element(
            "p",
            "Rows are the right classes, columns what the model said. The "
            "fuller the colour, the larger the share of the row.",
        ),
        legend([("right", "correct"), ("wrong", "wrong")]),
        element("div", shown),
    ]


def _shares(confusion: np.ndarray) -> np.ndarray:
    """Divides every row by its sum; a row without images stays 0."""
    return confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)


def _numbered(
    confusion: np.ndarray, shares: np.ndarray, class_names: Sequence[str]
) -> Element:
    """Lays the matrix out as a table with a number in every cell."""
    head = [
        element("th", element("span", element("bdi", name)), scope="col")
        for name in class_names
    ]
    rows = [
        element(
            "tr",
            heading_cell(element("bdi", name)),
            [
                _cell(int(confusion[i, j]), shares[i, j], i == j)
                for j in range(len(class_names))
            ],
        )
        for i, name in enumerate(class_names)
    ]
    table = element(
        "table",
        element("thead", element("tr", element("td"), head)),
        element("tbody", rows),
        class_="confusion",
    )
    return scrolling(table, "Confusion matrix")


def _cell(count: int, share: float, is_correct: bool) -> Element:
    if not count:
        return element("td")
    return element(
        "td",
        str(count),
        class_="correct" if is_correct else "wrong",
        style=f"--share:{share:.3f}",
    )


def _frequent(metrics: Metrics, class_names: Sequence[str]) -> Element | None:
    """Lists the confusions that cost the most images."""
    wrong = metrics.confusion * (1 - np.eye(len(class_names), dtype=int))
    order = np.argsort(-wrong, axis=None, kind="stable")[:10]
    pairs = [np.unravel_index(i, wrong.shape) for i in order]
    rows: list[list[Cell]] = [
        [
            heading_cell(element("bdi", class_names[i])),
            word_cell(class_names[j]),
            str(wrong[i, j]),
            percent(wrong[i, j] / metrics.per_class[i].support, 0),
        ]
        for i, j in pairs
        if wrong[i, j]
    ]
    if not rows:
        return None
    headings: list[Cell] = [
        "Class",
        word_heading("Taken for"),
        "Images",
        "Share",
    ]
    return element(
        "div",
        element("h3", "Most frequent confusions"),
        folded_table(headings, rows, label="Most frequent confusions"),
    )
