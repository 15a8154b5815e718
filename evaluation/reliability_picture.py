"""Draws reliability diagrams: accuracy over confidence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dropzoo.models.atomic_write import atomic_write

from .metrics import Metrics


def draw_reliability(path: str | Path, measured: Mapping[str, Metrics]) -> None:
    """Draws one diagram beside the other, with the calibration errors.

    A bar is as high as the share of right answers among those of its
    confidence; what is missing to the confidence, or too much, is hatched.
    Fainter bars stand for fewer images.

    Args:
        path: The picture, a PNG file; written atomically.
        measured: Figures by the title to draw above them, at least one; such
            as `{"before": result.before, "after": result.after}` of
            `calibrate`.

    Raises: OSError when the picture cannot be written.
    """
    # Without pyplot: a picture in a file needs no window.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = 0.6 + 3.0 * len(measured)
    figure = Figure(figsize=(width, 3.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(measured), sharey=True, squeeze=False)[0]
    for axes, (title, metrics) in zip(panels, measured.items(), strict=True):
        _draw(axes, metrics)
        error = metrics.expected_calibration_error
        axes.set_title(f"{title}: calibration error {error:.1%}", fontsize=9)
    panels[0].set_ylabel("share of right answers", fontsize=9)
    with atomic_write(path) as part:
        figure.savefig(part, format="png", facecolor="white")


def _draw(axes: Any, metrics: Metrics) -> None:
    most = max(b.count for b in metrics.reliability)
    for b in metrics.reliability:
        if b.confidence is None or b.accuracy is None:
            continue
        place = {"x": b.low, "width": b.high - b.low, "align": "edge"}
        axes.bar(
            height=b.accuracy,
            color="tab:blue",
            alpha=0.25 + 0.75 * (b.count / most) ** 0.5,
            **place,
        )
        axes.bar(
            height=b.confidence - b.accuracy,
            bottom=b.accuracy,
            color="none",
            edgecolor="tab:red",
            hatch="////",
            linewidth=0.6,
            **place,
        )
    axes.plot([0, 1], [0, 1], color="0.4", linewidth=0.8, linestyle="--")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_xlabel("confidence", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
