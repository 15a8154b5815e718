"""What was found in the data."""

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

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


def data_section(content: ReportContent) -> list[Element]:
    """Shows sentences, facts, images per class and what was rejected."""
    data = content.data
    told = [
        *(element("p", line) for line in data.lines),
        *([facts(data.facts)] if data.facts else []),
    ]
    blocks = [element("div", told)] if told else []
    if data.counts:
        blocks.append(_counts(data.counts, content.class_names))
    return [
        *([element("div", blocks, class_="pair")] if blocks else []),
        *(_rejected(data.rejected) if data.rejected else []),
    ]


def _counts(
    counts: Mapping[str, Mapping[str, int]], class_names: Sequence[str]
) -> Element:
    """Counts the images by class and split, with sums below."""
    rows: list[list[Cell]] = [
        [
            heading_cell(element("bdi", name)),
            *(f"{of.get(name, 0):,}" for of in counts.values()),
        ]
        for name in class_names
    ]
    sums = [f"{sum(of.values()):,}" for of in counts.values()]
    return folded_table(
        ["Class", *(split.capitalize() for split in counts)],
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
