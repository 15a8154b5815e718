"""How the run was made, and how to make it again."""

from xml.etree.ElementTree import Element

from .report_content import ReportContent
from .report_markup import element
from .report_numbers import seconds
from .report_tables import (
    Cell,
    bar_cell,
    facts,
    folded_table,
    heading_cell,
    word_heading,
)


def model_section(content: ReportContent) -> list[Element]:
    """Shows what the model is and where its weights came from."""
    return [facts(content.model)] if content.model else []


def timings_section(content: ReportContent) -> list[Element]:
    """Shows the seconds of every step, and their sum."""
    if not content.timings:
        return []
    total = sum(duration for _, duration in content.timings)
    rows: list[list[Cell]] = [
        [
            heading_cell(step),
            seconds(duration),
            bar_cell(duration / total if total else 0.0, 0),
        ]
        for step, duration in content.timings
    ]
    foot: list[Cell] = [heading_cell("Together"), seconds(total), ""]
    return [
        folded_table(
            ["Step", "Time", word_heading("Share")],
            rows,
            label="Time by step",
            foot=foot,
        )
    ]


def repeat_section(content: ReportContent) -> list[Element]:
    """Shows the command, the options and the versions."""
    shown = []
    if content.command:
        shown.append(element("pre", element("code", content.command)))
    if content.config:
        shown += [element("h3", "Options"), facts(content.config)]
    if content.versions:
        shown += [element("h3", "Versions"), facts(content.versions)]
    return shown
