"""A confusion matrix of many classes, as a picture."""

import base64
import io
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image

from .report_markup import Child, element
from .report_tables import scrolling

# Up to here every row and column is named, beyond it about a dozen.
MOST_NAMED = 60
# Beyond this several classes share a dot, lest a screen drops some.
MOST_DOTS = 250
# Longer names would leave the matrix no room.
MOST_LETTERS = 22

# Width of the matrix, in units of the picture.
SIDE = 720

CORRECT = (47, 111, 208)
WRONG = (214, 96, 36)


def matrix_picture(shares: np.ndarray, class_names: Sequence[str]) -> Child:
    """Draws the matrix, a dot for a cell or for a block of them.

    Args:
        shares: `(C, C)` floats in [0, 1], of each row's images.
        class_names: The C names.

    Returns:
        The picture, and a sentence on the blocks if there are any.
    """
    num_classes = len(class_names)
    block = -(-num_classes // MOST_DOTS)
    sentence = element(
        "p",
        f"A dot stands for {block} by {block} neighbouring classes and shows "
        "the strongest of them.",
    )
    names = [_shortened(name) for name in class_names]
    drawn = _drawn(_dots(shares, block), block, names)
    return [
        sentence if block > 1 else None,
        scrolling(drawn, "Confusion matrix"),
    ]


def _shortened(name: str) -> str:
    if len(name) <= MOST_LETTERS:
        return name
    return f"{name[: MOST_LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"


def _drawn(dots: np.ndarray, block: int, names: Sequence[str]) -> Element:
    """Puts the dots behind a frame, with names to the left and on top."""
    margin = 14 + max(map(_width, names))
    size = SIDE / (len(dots) * block)
    step = 1 if len(names) <= MOST_NAMED else -(-len(names) // 12)
    square = {"x": margin, "y": margin, "width": SIDE, "height": SIDE}
    return element(
        "svg",
        element("image", href=_data_uri(dots), **square),
        element("rect", **square),
        [
            _names(names[i], margin, margin + (i + 0.5) * size)
            for i in range(0, len(names), step)
        ],
        viewBox=f"0 0 {margin + SIDE + 8} {margin + SIDE + 8}",
        role="img",
        aria_label=f"Confusion matrix of {len(names)} classes. The most "
        "frequent confusions are listed below it.",
        class_="matrix",
    )


def _width(name: str) -> float:
    """Estimates the width of a name; other scripts have wider letters."""
    return len(name) * (6.5 if name.isascii() else 11)


def _names(name: str, margin: float, middle: float) -> list[Element]:
    """Names a row and a column; both stand `middle` from the corner."""
    end, base = margin - 6, round(middle + 4, 1)
    return [
        element("text", name, x=end, y=base, text_anchor="end"),
        element("text", name, transform=f"translate({base} {end}) rotate(-90)"),
    ]


def _dots(shares: np.ndarray, block: int) -> np.ndarray:
    """Colours the cells: `(dots, dots, 4)` bytes, RGB and opacity.

    Only the opacity depends on the share, so that the picture sits on light
    and on dark paper.
    """
    diagonal = np.diag(np.diag(shares))
    correct = _strongest(diagonal, block)
    wrong = _strongest(shares - diagonal, block)
    share = np.maximum(correct, wrong)
    # The root lifts rare confusions above what the eye overlooks.
    opacity = np.where(share > 0, 0.15 + 0.85 * np.sqrt(share), 0)
    colour = np.where((wrong > correct)[..., None], WRONG, CORRECT)
    return np.dstack([colour, 255 * opacity]).round().astype(np.uint8)


def _strongest(cells: np.ndarray, block: int) -> np.ndarray:
    """Takes the maximum of every block."""
    cells = np.pad(cells, (0, -len(cells) % block))
    count = len(cells) // block
    return cells.reshape(count, block, count, block).max(axis=(1, 3))


def _data_uri(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    coded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/png;base64,{coded}"
