"""The figures that a reader wants first."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from .metrics import Metrics
from .report_content import ReportContent
from .report_markup import element
from .report_numbers import percent, points, seconds


def headline_section(content: ReportContent) -> list[Element]:
    """Shows the accuracy with its interval, and a few figures beside it."""
    metrics = content.metrics
    if metrics is None:
        return [
            element(
                "p",
                "No images were left to measure the final model on; the "
                "figures below are those of training.",
                class_="note",
            )
        ]
    return [
        element(
            "div",
            _accuracy(metrics, content.evaluated_on),
            element("dl", list(_figures(content, metrics)), class_="figures"),
            class_="headline",
        )
    ]


def _accuracy(metrics: Metrics, split: str) -> Element:
    low, high = metrics.accuracy_interval
    return element(
        "div",
        element("p", percent(metrics.accuracy), class_="hero"),
        element(
            "p",
            f"of {metrics.num_examples:,} {split} images are classified "
            "correctly.",
        ),
        element(
            "div",
            element(
                "i",
                style=f"left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%",
            ),
            element("b", style=f"left:{100 * metrics.accuracy:.2f}%"),
            class_="interval",
        ),
        element(
            "p",
            f"95 % interval {percent(low)} to {percent(high)}: with other "
            "images of the same kind, expect an accuracy in this range.",
            class_="soft",
        ),
    )


def _figures(content: ReportContent, metrics: Metrics) -> Iterator[Element]:
    """Yields the smaller figures, each with a note."""
    probe = content.probe_metrics
    if probe is not None:
        gain = points(metrics.accuracy - probe.accuracy)
        yield figure(
            "Head on frozen features",
            percent(probe.accuracy),
            f"the final model: {gain}",
        )
    if metrics.top5_accuracy is not None:
        yield figure(
            "Right within five guesses", percent(metrics.top5_accuracy)
        )
    yield figure(
        "Macro F1", percent(metrics.macro_f1), "every class counts the same"
    )
    yield figure(
        "Calibration error",
        percent(metrics.expected_calibration_error),
        "0 % is perfect",
    )
    yield figure(
        "Negative log-likelihood",
        f"{metrics.negative_log_likelihood:.3f}",
        "lower is better",
    )
    if content.timings:
        yield figure("Time", seconds(sum(t for _, t in content.timings)))


def figure(title: str, value: str, note: str = "") -> Element:
    """Shows a small figure below its title."""
    return element(
        "div",
        element("dt", title),
        element("dd", value),
        element("dd", note, class_="soft") if note else None,
    )
