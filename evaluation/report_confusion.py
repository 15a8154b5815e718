"""Which class was taken for which."""

import base64
import io
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image

from .metrics import Metrics
from .report_content import ReportContent
from .report_markup import element
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
# Up to here every row and column of the picture is named.
MOST_NAMED = 60
# Beyond this several classes share a dot, lest a screen drops some.
MOST_DOTS = 250

CORRECT = (47, 111, 208)
WRONG = (214, 96, 36)


def confusion_section(content: ReportContent) -> list[Element]:
    """Shows the matrix and the most frequent confusions."""
    if content.metrics is None:
        return []
    few = len(content.class_names) <= MOST_NUMBERED
    draw = _numbered if few else _picture
    return [
        element(
            "p",
            "Rows are the right classes, columns what the model said. The "
            "fuller the colour, the larger the share of the row.",
        ),
        legend([("right", "correct"), ("wrong", "wrong")]),
        element(
            "div",
            draw(content.metrics, content.class_names),
            _frequent(content.metrics, content.class_names),
            class_="beside",
        ),
    ]


def _shares(confusion: np.ndarray) -> np.ndarray:
    """Divides every row by its sum; a row without images stays 0."""
    return confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)


def _numbered(metrics: Metrics, class_names: Sequence[str]) -> Element:
    """Lays the matrix out as a table with a number in every cell."""
    shares = _shares(metrics.confusion)
    head = [
        element("th", element("span", element("bdi", name)), scope="col")
        for name in class_names
    ]
    rows = [
        element(
            "tr",
            heading_cell(element("bdi", name)),
            [
                _cell(int(metrics.confusion[i, j]), shares[i, j], i == j)
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


def _picture(metrics: Metrics, class_names: Sequence[str]) -> Element:
    """Draws the matrix of many classes, a dot for a cell."""
    num_classes = len(class_names)
    dots = _dots(_shares(metrics.confusion))
    step = 1 if num_classes <= MOST_NAMED else -(-num_classes // 12)
    side, margin = 720, 150
    size = side / num_classes
    names = [
        _axis_names(name, margin, margin + (i + 0.5) * size)
        for i, name in list(enumerate(class_names))[::step]
    ]
    drawn = element(
        "svg",
        element(
            "image",
            href=_data_uri(dots),
            x=margin,
            y=margin,
            width=side,
            height=side,
        ),
        element("rect", x=margin, y=margin, width=side, height=side),
        names,
        viewBox=f"0 0 {margin + side + 2} {margin + side + 2}",
        role="img",
        aria_label=f"Confusion matrix of {num_classes} classes; the most "
        "frequent confusions are listed below.",
        class_="matrix",
    )
    return scrolling(drawn, "Confusion matrix")


def _axis_names(name: str, margin: float, middle: float) -> list[Element]:
    """Names a row and a column; both stand `middle` from the corner."""
    text = name if len(name) <= 22 else f"{name[:21]}\N{HORIZONTAL ELLIPSIS}"
    places = (
        {"x": margin - 6, "y": round(middle + 4, 1), "text_anchor": "end"},
        {"transform": f"translate({middle + 4:.1f} {margin - 6}) rotate(-90)"},
    )
    return [
        element("text", element("title", name), text, **place)
        for place in places
    ]


def _dots(shares: np.ndarray) -> np.ndarray:
    """Colours cells `(C, C)` as `(dots, dots, 4)` bytes, RGB and opacity.

    Only the opacity depends on the share, so that the picture sits on light
    and on dark paper. A block of classes shows its strongest cell.
    """
    block = -(-len(shares) // MOST_DOTS)
    diagonal = np.diag(np.diag(shares))
    correct, wrong = (
        _strongest(diagonal, block),
        _strongest(shares - diagonal, block),
    )
    opacity = np.maximum(correct, wrong)
    # The root lifts rare confusions above what the eye overlooks.
    alpha = np.where(opacity > 0, 0.15 + 0.85 * np.sqrt(opacity), 0)
    colour = np.where((wrong > correct)[..., None], WRONG, CORRECT)
    return np.dstack([colour, 255 * alpha]).round().astype(np.uint8)


def _strongest(cells: np.ndarray, block: int) -> np.ndarray:
    missing = -len(cells) % block
    cells = np.pad(cells, (0, missing))
    count = len(cells) // block
    return cells.reshape(count, block, count, block).max(axis=(1, 3))


def _data_uri(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    coded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/png;base64,{coded}"


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
        "Of the class",
    ]
    return element(
        "div",
        element("h3", "Most frequent confusions"),
        folded_table(headings, rows, label="Most frequent confusions"),
    )
