"""Elements of a page that cannot be forged by the text inside them."""

from collections.abc import Iterable
from typing import TypeAlias
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

Child: TypeAlias = "str | Element | None | Iterable[Child]"


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """Makes an HTML or SVG element.

    Text stays text: `ElementTree` escapes it where it is written, so that a
    class named `<script>` is shown and not run.

    Args:
        tag: Name of the element.
        *children: Strings, elements or iterables of them, in order; `None`
            is left out.
        **attributes: Attributes, `class_` for `class` and `stroke_width` for
            `stroke-width`; `None` is left out.

    Returns:
        The element.

    Example:
        >>> render(element("p", "a < b", class_="note"))
        '<p class="note">a &lt; b</p>'
    """
    made = Element(
        tag,
        {
            name.rstrip("_").replace("_", "-"): str(value)
            for name, value in attributes.items()
            if value is not None
        },
    )
    _append(made, children)
    return made


def _append(parent: Element, children: Iterable[Child]) -> None:
    for child in children:
        if isinstance(child, str):
            _append_text(parent, child)
        elif isinstance(child, Element):
            parent.append(child)
        elif child is not None:
            _append(parent, child)


def _append_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def name(text: str) -> Element:
    """Makes a foreign name that keeps its writing direction to itself."""
    return element("bdi", text)


def render(root: Element) -> str:
    """Writes an element and all that it holds as HTML."""
    return ElementTree.tostring(root, encoding="unicode", method="html")
