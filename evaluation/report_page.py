"""A page of sections: one file that opens anywhere and asks no network."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from .report_markup import element, render
from .report_style import STYLE

# Whatever a file name may hold, the page can neither run nor fetch anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Section(NamedTuple):
    """A part of a page.

    Attributes:
        key: What links to it end in.
        heading: Its heading.
        children: What it shows; a section of nothing is left out.
    """

    key: str
    heading: str
    children: Sequence[Element]


def write_page(
    path: Path,
    title: str,
    summary: Sequence[str],
    sections: Sequence[Section],
    *,
    style: str = "",
) -> None:
    """Writes a page, which appears under its name when it is whole.

    Args:
        path: The file to write; one that is there already is replaced.
        title: Heading of the page.
        summary: Sentences below the heading.
        sections: What follows, in order.
        style: Style rules of what only this kind of page shows.
    """
    shown = [section for section in sections if section.children]
    made = element(
        "html",
        _head(title, STYLE + style),
        element(
            "body", _header(title, summary, shown), _main(shown), _footer()
        ),
        lang="en",
    )
    _replace(path, "<!DOCTYPE html>\n" + render(made) + "\n")


def _replace(path: Path, page: str) -> None:
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


def _head(title: str, style: str) -> Element:
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
        element("style", style),
    )


def _header(
    title: str, summary: Sequence[str], sections: Sequence[Section]
) -> Element:
    links = [element("a", s.heading, href=f"#{s.key}") for s in sections]
    return element(
        "header",
        element("h1", title),
        [element("p", line) for line in summary],
        element("nav", links, aria_label="Contents"),
    )


def _main(sections: Sequence[Section]) -> Element:
    return element(
        "main",
        [
            element(
                "section",
                element("h2", s.heading, id=f"{s.key}-heading"),
                s.children,
                id=s.key,
                aria_labelledby=f"{s.key}-heading",
            )
            for s in sections
        ],
    )


def _footer() -> Element:
    return element("footer", "Written by dropzoo.")
