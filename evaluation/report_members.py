"""An ensemble, its members, and what it was compared with."""

import base64
from xml.etree.ElementTree import Element

from .members import Contender, EnsembleFigures
from .report_content import ReportContent
from .report_markup import element
from .report_numbers import percent
from .report_tables import (
    Cell,
    bar_cell,
    folded_table,
    heading_cell,
    scrolling,
    word_heading,
)


def members_section(content: ReportContent) -> list[Element]:
    """Shows the rate with its snapshots, the errors and the disagreement."""
    figures = content.ensemble
    if figures is None:
        return []
    return [
        element("p", figures.reason),
        *([_picture(figures)] if figures.picture else []),
        _errors(figures),
        *([_disagreement(figures)] if len(figures.members) > 1 else []),
    ]


def _picture(figures: EnsembleFigures) -> Element:
    coded = base64.b64encode(figures.picture).decode("ascii")
    return element(
        "figure",
        element(
            "img",
            src=f"data:image/png;base64,{coded}",
            alt="Learning rate over the epochs, with a mark at each snapshot. "
            "The table below has the errors.",
            class_="drawn",
        ),
    )


def _errors(figures: EnsembleFigures) -> Element:
    """Lists the contenders, with the splits that they were judged on."""
    first = figures.contenders[0]
    splits = {
        "Validation": first.validation_error is not None,
        "Test": first.test_error is not None,
    }
    headings: list[Cell] = ["Model"]
    for split, is_there in splits.items():
        if is_there:
            headings += [word_heading(f"{split} error"), "Loss"]
    rows = [_row(x, figures.kept) for x in figures.contenders]
    return folded_table(headings, rows, label="Errors")


def _row(contender: Contender, kept: str) -> list[Cell]:
    badge = element("span", "kept", class_="badge")
    is_kept = contender.name == kept
    row: list[Cell] = [
        heading_cell(contender.name, [" ", badge] if is_kept else None)
    ]
    for error, loss in (
        (contender.validation_error, contender.validation_loss),
        (contender.test_error, contender.test_loss),
    ):
        if error is not None and loss is not None:
            row += [bar_cell(error, 2), f"{loss:.3f}"]
    return row


def _disagreement(figures: EnsembleFigures) -> Element:
    """Lays the matrix out, its cells the fuller the more there is."""
    names, shares = figures.members, figures.disagreement
    most = float(shares.max()) or 1.0
    head = [element("th", element("span", name), scope="col") for name in names]
    rows = [
        element(
            "tr",
            heading_cell(name),
            [
                element("td")
                if i == j
                else element(
                    "td",
                    percent(shares[i, j]),
                    class_="wrong",
                    style=f"--share:{shares[i, j] / most:.3f}",
                )
                for j in range(len(names))
            ],
        )
        for i, name in enumerate(names)
    ]
    table = element(
        "table",
        element("thead", element("tr", element("td"), head)),
        element("tbody", rows),
        class_="confusion wide",
    )
    return element(
        "div",
        element("h3", "How often two members disagree"),
        element(
            "p",
            f"Share of the {figures.measured_on} images to which two members "
            "give different answers. Members that always agree have nothing "
            "to add to each other.",
        ),
        scrolling(table, "Disagreement"),
    )
