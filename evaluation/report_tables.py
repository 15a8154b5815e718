"""Tables, lists of facts and legends of a report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from xml.etree.ElementTree import Element

from .report_markup import Child, element
from .report_numbers import percent, plain

Cell = str | Element


def folded_table(
    headings: Sequence[Cell],
    rows: Sequence[Sequence[Cell]],
    *,
    label: str,
    visible: int = 30,
    foot: Sequence[Cell] = (),
) -> Element:
    """Lays out a table whose rest unfolds when it is long.

    Args:
        headings: One per column; strings stand above numbers.
        rows: Cells, strings or ready `td` and `th` elements.
        label: What the table holds.
        visible: Number of rows that are always seen. Defaults to 30.
        foot: Cells of a last row, such as sums.

    Returns:
        An element with one table or, where rows are folded, two.
    """
    first = _table(headings, rows[:visible], label, foot)
    if len(rows) <= visible:
        return first
    more = len(rows) - visible
    return element(
        "div",
        first,
        element(
            "details",
            element("summary", f"{more:,} more"),
            _table(headings, rows[visible:], f"{label}, continued", ()),
        ),
    )


def _table(
    headings: Sequence[Cell],
    rows: Sequence[Sequence[Cell]],
    label: str,
    foot: Sequence[Cell],
) -> Element:
    head = [
        element("th", heading, scope="col")
        if isinstance(heading, str)
        else heading
        for heading in headings
    ]
    table = element(
        "table",
        element("thead", element("tr", head)),
        element("tbody", [_row(cells) for cells in rows]),
        element("tfoot", _row(foot)) if foot else None,
    )
    return scrolling(table, label)


def _row(cells: Sequence[Cell]) -> Element:
    return element(
        "tr",
        [
            element("td", cell) if isinstance(cell, str) else cell
            for cell in cells
        ],
    )


def scrolling(wide: Element, label: str) -> Element:
    """Lets something wide scroll by itself, by keyboard too."""
    return element(
        "div",
        wide,
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=label,
    )


def word_heading(text: str) -> Element:
    """Makes the heading of a column of words, which are aligned at the left."""
    return element("th", text, scope="col", class_="words")


def word_cell(text: str) -> Element:
    """Makes a cell of words."""
    return element("td", element("bdi", text), class_="words")


def heading_cell(*children: Child) -> Element:
    """Makes the cell that names its row."""
    return element("th", children, scope="row")


def bar_cell(share: float, digits: int = 1) -> Element:
    """Makes a cell with a percentage and a bar of that length."""
    filled = element("i", style=f"width:{100 * share:.2f}%")
    return element(
        "td",
        element("div", percent(share, digits), element("span", filled)),
        class_="bar",
    )


def facts(values: Mapping[str, object]) -> Element:
    """Lists names and values; nested names are joined by dots."""
    return element(
        "dl",
        [
            element(
                "div",
                element("dt", key),
                element("dd", element("bdi", text)),
                class_="wide" if len(text) > 36 else None,
            )
            for key, text in _flat(values)
        ],
        class_="facts",
    )


def _flat(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            for inner, text in _flat(value):
                yield f"{key}.{inner}", text
        elif isinstance(value, (list, tuple)):
            yield str(key), ", ".join(plain(item) for item in value)
        else:
            yield str(key), plain(value)


def legend(
    entries: Sequence[tuple[str, str]], shades: Iterable[float] = ()
) -> Element:
    """Explains lines or areas.

    Args:
        entries: Pairs of a text and the class that the thing is drawn in.
        shades: Opacity of each entry in [0, 1]. Defaults to all 1.

    Returns:
        The list.
    """
    swatches = [
        element("i", class_=f"swatch {class_}", style=style)
        for (_, class_), style in zip_longest(
            entries, [f"opacity:{shade:.2f}" for shade in shades]
        )
    ]
    texts = [element("bdi", text) for text, _ in entries]
    return element(
        "ul",
        [element("li", *pair) for pair in zip(swatches, texts, strict=True)],
        class_="legend",
    )
