"""What was found in the data."""

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from .data_summary import DataSummary
from .report_content import ReportContent
from .report_markup import element
from .report_tables import (
    Cell,
    facts,
    folded_table,
    heading_cell,
    word_cell,
    word_heading,
)

# A report stays a page, whatever a folder holds.
MOST_REJECTED = 500

SPLITS = {"train": "Training", "validation": "Validation", "test": "Test"}


def data_section(content: ReportContent) -> list[Element]:
    """Shows sentences, facts, images per class and what was rejected."""
    data = content.data
    told = _told(data)
    blocks = [element("div", told)] if told else []
    if data.counts:
        blocks.append(_counts(data.counts, content.class_names))
    return [
        *([element("div", blocks, class_="pair")] if blocks else []),
        *(_rejected(data.rejected) if data.rejected else []),
    ]


def _told(data: DataSummary) -> list[Element]:
    lines = [element("li", line[:1].upper() + line[1:]) for line in data.lines]
    return [
        *(element("p", line, class_="note") for line in data.warnings),
        *([facts(data.facts)] if data.facts else []),
        *([element("ul", lines, class_="lines")] if lines else []),
    ]


def _counts(
    counts: Mapping[str, Sequence[int]], class_names: Sequence[str]
) -> Element:
    """Counts the images by class and split, with sums below."""
    rows: list[list[Cell]] = [
        [
            heading_cell(element("bdi", name)),
            *(f"{of_class[i]:,}" for of_class in counts.values()),
        ]
        for i, name in enumerate(class_names)
    ]
    sums = [f"{sum(of_class):,}" for of_class in counts.values()]
    return folded_table(
        ["Class", *(SPLITS.get(split, split) for split in counts)],
        rows,
        label="Images per class and split",
        foot=[heading_cell(f"All {len(class_names):,} classes"), *sums],
    )


def _rejected(rejected: Sequence[tuple[str, str]]) -> list[Element]:
    rows: list[list[Cell]] = [
        [
            heading_cell(element("bdi", name)),
            word_cell(reason),
        ]
        for name, reason in rejected[:MOST_REJECTED]
    ]
    left = len(rejected) - len(rows)
    return [
        element("h3", f"Rejected files ({len(rejected):,})"),
        folded_table(
            ["File", word_heading("Reason")],
            rows,
            label="Rejected files",
            visible=8,
        ),
        *(
            [element("p", f"{left:,} more are not listed here.")]
            if left
            else []
        ),
    ]
