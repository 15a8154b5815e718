"""A frame with two axes, drawn in SVG whose colours are the page's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from matplotlib.ticker import MaxNLocator

from .report_markup import Child, element

Range = tuple[float, float]


@dataclass(frozen=True)
class Plot:
    """Places data in a picture of 420 units across.

    Attributes:
        x_range: The data's left and right end.
        y_range: The data's lower and upper end.
        height: Height of the frame in units.
        top: Distance of the frame from the top of the picture in units.
    """

    x_range: Range
    y_range: Range
    height: float = 210
    top: float = 24

    width = 420
    left = 52
    right = 400

    @property
    def bottom(self) -> float:
        """Lower end of the frame in units."""
        return self.top + self.height

    def x(self, value: float) -> float:
        """Returns where a value stands from left to right, in units."""
        low, high = self.x_range
        share = (value - low) / (high - low)
        return round(self.left + share * (self.right - self.left), 2)

    def y(self, value: float) -> float:
        """Returns where a value stands from top to bottom, in units."""
        low, high = self.y_range
        share = (value - low) / (high - low)
        return round(self.bottom - share * self.height, 2)

    def picture(self, label: str, *drawn: Child) -> Element:
        """Puts what was drawn on paper that ends below this frame's axis.

        Args:
            label: What the picture says, for those who cannot see it.
            *drawn: The elements.

        Returns:
            The `svg` element.
        """
        return element(
            "svg",
            drawn,
            viewBox=f"0 0 {self.width} {self.bottom + 42:g}",
            role="img",
            aria_label=label,
            class_="plot",
        )

    def horizontal_axis(
        self, label: str, text: Callable[[float], str], *, integer: bool = False
    ) -> list[Element]:
        """Draws the numbers and the name of the axis under the frame."""
        chosen = ticks(self.x_range, integer=integer)
        return self.named_axis(label, [(tick, text(tick)) for tick in chosen])

    def named_axis(
        self, label: str, named: Sequence[tuple[float, str]]
    ) -> list[Element]:
        """Draws given values and the name of the axis under the frame."""
        numbers = [
            _text(self.x(tick), self.bottom + 17, text, "middle")
            for tick, text in named
        ]
        middle = (self.left + self.right) / 2
        name = _text(middle, self.bottom + 36, label, "middle", "label")
        return [*numbers, name]

    def vertical_axis(self, text: Callable[[float], str]) -> list[Element]:
        """Draws the numbers left of the frame and a line for each."""
        drawn = []
        for tick in ticks(self.y_range):
            y = self.y(tick)
            drawn += [
                _line(self.left, y, self.right, y, "grid"),
                _text(self.left - 8, y + 4, text(tick), "end"),
            ]
        return drawn

    def path(
        self, points: Sequence[tuple[float, float]], class_: str
    ) -> Element:
        """Draws a line through the points."""
        steps = " ".join(f"{self.x(x):g},{self.y(y):g}" for x, y in points)
        return element("polyline", points=steps, class_=class_)

    def dot(self, x: float, y: float, class_: str) -> Element:
        """Draws a point."""
        return element("circle", cx=self.x(x), cy=self.y(y), r=3, class_=class_)

    def bar(self, across: Range, upward: Range, class_: str) -> Element:
        """Draws a rectangle between two values on either axis."""
        low, high = sorted(upward)
        return element(
            "rect",
            x=self.x(across[0]),
            y=self.y(high),
            width=round(self.x(across[1]) - self.x(across[0]), 2),
            height=round(self.y(low) - self.y(high), 2),
            class_=class_,
        )

    def mark(self, x: float, note: str) -> list[Element]:
        """Draws a dashed upright line with a note above it."""
        at = self.x(x)
        return [
            _line(at, self.top, at, self.bottom, "mark"),
            _text(at, self.top - 8, note, "start"),
        ]


def ticks(ends: Range, *, integer: bool = False) -> list[float]:
    """Chooses about five round numbers within two ends."""
    low, high = ends
    locator = MaxNLocator(
        nbins=5, steps=[1, 2, 2.5, 5, 10], integer=integer, min_n_ticks=1
    )
    slack = (high - low) * 1e-9
    return [
        float(tick)
        for tick in locator.tick_values(low, high)
        if low - slack <= tick <= high + slack
    ]


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Element:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _text(
    x: float, y: float, text: str, anchor: str, class_: str | None = None
) -> Element:
    return element("text", text, x=x, y=y, text_anchor=anchor, class_=class_)
