"""How the training went: the curves, the rates and what was kept."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from xml.etree.ElementTree import Element

import numpy as np

from .report_content import Comparison, ReportContent
from .report_markup import element
from .report_numbers import percent_tick, plain
from .report_plot import Plot
from .report_tables import (
    Cell,
    bar_cell,
    folded_table,
    heading_cell,
    legend,
    word_cell,
    word_heading,
)

Epoch = Mapping[str, object]
Point = tuple[float, float]

# Beyond this a line gets no finer on a screen, and dots run into each other.
MOST_POINTS = 400
MOST_DOTS = 40


def training_section(content: ReportContent) -> list[Element]:
    """Shows the curves, the rates and the choice, as far as there are any."""
    charts = [
        _curves(content.history, "accuracy", percent_tick),
        _curves(content.history, "loss", plain),
        _rates(content.learning_rates),
        _choice(content.comparison) if content.comparison else None,
    ]
    drawn = [chart for chart in charts if chart is not None]
    return [
        *([element("div", drawn, class_="pair")] if drawn else []),
        *([_numbers(content.history)] if content.history else []),
    ]


def _choice(comparison: Comparison) -> Element:
    kept = element("span", "kept", class_="badge")
    rows: list[list[Cell]] = [
        [
            heading_cell(
                candidate, [" ", kept] if candidate == comparison.kept else None
            ),
            bar_cell(score),
        ]
        for candidate, score in comparison.scores.items()
    ]
    return element(
        "div",
        element("h3", "What was kept"),
        element("p", comparison.reason),
        folded_table(
            ["Candidate", word_heading("Accuracy")], rows, label="Candidates"
        ),
    )


def _curves(
    history: Sequence[Epoch], key: str, as_text: Callable[[float], str]
) -> Element | None:
    """Draws a quantity over the epochs, in training and in validation."""
    measured = {
        "training": list(_points(history, key)),
        "validation": list(_points(history, f"val_{key}")),
    }
    lines = {kind: points for kind, points in measured.items() if points}
    if not lines:
        return None
    values = [y for points in lines.values() for _, y in points]
    plot = Plot((0.5, len(history) + 0.5), _room(values, key))
    ends = ", ".join(
        f"{kind} ends at {as_text(points[-1][1])}"
        for kind, points in lines.items()
    )
    return element(
        "figure",
        element("figcaption", key.capitalize()),
        legend([(kind, kind) for kind in lines]),
        plot.picture(
            f"{key.capitalize()} over {len(history)} epochs: {ends}.",
            plot.vertical_axis(as_text),
            plot.horizontal_axis("epoch", plain, integer=True),
            [plot.mark(x, phase) for x, phase in _phases(history)],
            [_line(plot, points, kind) for kind, points in lines.items()],
        ),
    )


def _points(history: Sequence[Epoch], key: str) -> Iterator[Point]:
    """Yields the epochs that have the value, counted over all phases."""
    for position, epoch in enumerate(history, start=1):
        value = epoch.get(key)
        if isinstance(value, Real) and math.isfinite(value):
            yield position, float(value)


def _room(values: Sequence[float], key: str) -> tuple[float, float]:
    """Chooses the vertical range: losses from 0, accuracies up to 1."""
    low, high = min(values), max(values)
    if key == "loss":
        return min(low, 0.0), high * 1.05 or 1.0
    slack = 0.08 * (high - low) or 0.05
    return max(low - slack, 0.0), min(high + slack, 1.0)


def _phases(history: Sequence[Epoch]) -> Iterator[tuple[float, str]]:
    """Yields where each phase begins, if there is more than one."""
    names = [str(epoch.get("phase", "")) for epoch in history]
    if len(set(names)) > 1:
        for i, phase in enumerate(names):
            if i == 0 or phase != names[i - 1]:
                yield i + 0.5, phase


def _line(plot: Plot, points: Sequence[Point], kind: str) -> list[Element]:
    dots = points if len(points) <= MOST_DOTS else []
    return [
        plot.path(points, f"line {kind}"),
        *(plot.dot(x, y, f"dot {kind}") for x, y in dots),
    ]


def _rates(learning_rates: Mapping[str, np.ndarray]) -> Element | None:
    """Draws the learning rate of every step, a line for each layer group."""
    groups = {k: np.asarray(v) for k, v in learning_rates.items() if len(v)}
    if not groups:
        return None
    peak = max(float(rates.max()) for rates in groups.values())
    steps = max(len(rates) for rates in groups.values())
    plot = Plot((0, max(steps, 2)), (0.0, peak * 1.05 or 1.0))
    shades = np.linspace(1.0, 0.4, len(groups))[::-1]
    return element(
        "figure",
        element("figcaption", "Learning rate"),
        legend(_peaks(groups), shades) if len(groups) > 1 else None,
        plot.picture(
            f"Learning rate over {steps} steps, at most {plain(peak)}.",
            plot.vertical_axis(plain),
            plot.horizontal_axis("step", plain, integer=True),
            [
                element("g", plot.path(_thinned(v), "line rate"), opacity=shade)
                for v, shade in zip(groups.values(), shades, strict=True)
            ],
        ),
    )


def _peaks(groups: Mapping[str, np.ndarray]) -> list[tuple[str, str]]:
    return [
        (f"{group}, at most {plain(float(rates.max()))}", "rate")
        for group, rates in groups.items()
    ]


def _thinned(values: np.ndarray) -> list[Point]:
    """Pairs values with their positions and keeps evenly spaced ones."""
    count = min(len(values), MOST_POINTS)
    kept = np.linspace(0, len(values) - 1, count).round().astype(int)
    return [(int(i), float(values[i])) for i in kept]


def _numbers(history: Sequence[Epoch]) -> Element:
    """Lists every epoch for those who want the figures."""
    headings: list[Cell] = ["Epoch", word_heading("Phase"), "Loss", "Accuracy"]
    headings += ["Validation loss", "Validation accuracy"]
    rows: list[list[Cell]] = [
        [
            heading_cell(plain(epoch.get("epoch", position))),
            word_cell(str(epoch.get("phase", ""))),
            *(_value(epoch, key) for key in ("loss", "accuracy")),
            *(_value(epoch, key) for key in ("val_loss", "val_accuracy")),
        ]
        for position, epoch in enumerate(history, start=1)
    ]
    return element(
        "details",
        element("summary", "The numbers behind the curves"),
        folded_table(headings, rows, label="Epochs", visible=200),
    )


def _value(epoch: Epoch, key: str) -> str:
    value = epoch.get(key)
    return f"{value:.4f}" if isinstance(value, Real) else "\N{EN DASH}"
