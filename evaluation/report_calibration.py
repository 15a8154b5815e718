"""Whether the stated confidence comes true."""

from xml.etree.ElementTree import Element

import numpy as np

from .metrics import Metrics
from .reliability import ReliabilityBin
from .report_content import ReportContent
from .report_markup import element
from .report_numbers import percent, percent_tick
from .report_plot import Plot
from .report_tables import Cell, folded_table, heading_cell, legend


def calibration_section(content: ReportContent) -> list[Element]:
    """Shows the reliability diagram and says what it means."""
    metrics = content.metrics
    if metrics is None:
        return []
    return [
        element("p", _verdict(metrics)),
        element("div", _diagram(metrics), _numbers(metrics), class_="pair"),
    ]


def _verdict(metrics: Metrics) -> str:
    stated = float(
        np.average(
            [b.confidence or 0.0 for b in metrics.reliability],
            weights=[b.count for b in metrics.reliability],
        )
    )
    bias = stated - metrics.accuracy
    trait = "too sure of itself" if bias > 0 else "too modest"
    verdict = f", so it is {trait}" if abs(bias) >= 0.02 else ""
    return (
        f"On average the model states a confidence of {percent(stated)} and "
        f"is right {percent(metrics.accuracy)} of the time{verdict}. The "
        "expected calibration error, the mean distance between the two, is "
        f"{percent(metrics.expected_calibration_error)}."
    )


def _diagram(metrics: Metrics) -> Element:
    """Draws accuracy over confidence, and below how often each occurs."""
    filled = [b for b in metrics.reliability if b.count]
    plot = Plot((0.0, 1.0), (0.0, 1.0), height=280, top=8)
    most = max(b.count for b in filled)
    strip = Plot((0.0, 1.0), (0.0, most), height=48, top=plot.bottom + 10)
    return element(
        "figure",
        legend(
            [
                ("how often it is right", "correct"),
                ("gap to what it states", "wrong"),
                ("how often it states this", "often"),
            ]
        ),
        strip.picture(
            "Share of right predictions by stated confidence. The table "
            "beside this diagram has the numbers.",
            plot.vertical_axis(percent_tick),
            [_bars(plot, b) for b in filled],
            plot.path([(0.0, 0.0), (1.0, 1.0)], "diagonal"),
            [
                strip.bar((b.low, b.high), (0, b.count), "area often")
                for b in filled
            ],
            strip.horizontal_axis("stated confidence", percent_tick),
        ),
    )


def _bars(plot: Plot, b: ReliabilityBin) -> list[Element]:
    across, accuracy = (b.low, b.high), b.accuracy or 0.0
    return [
        plot.bar(across, (0.0, accuracy), "area correct"),
        plot.bar(across, (accuracy, b.confidence or 0.0), "area wrong"),
    ]


def _numbers(metrics: Metrics) -> Element:
    rows: list[list[Cell]] = [
        [
            heading_cell(f"{percent(b.low, 0)} to {percent(b.high, 0)}"),
            percent(b.confidence, 0),
            percent(b.accuracy, 0),
            f"{b.count:,}",
        ]
        for b in metrics.reliability
        if b.confidence is not None and b.accuracy is not None
    ]
    headings = ["Confidence", "Stated", "Right", "Images"]
    return folded_table(headings, rows, label="Confidence and accuracy")
