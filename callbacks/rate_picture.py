"""Draws the curve of a range test."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from dropzoo.callbacks.rate_curve import RateCurve
from dropzoo.callbacks.rate_suggestions import RateSuggestions
from dropzoo.models.atomic_write import atomic_write

MARKERS = {"valley": "o", "steep": "s", "minimum": "D", "slide": "^"}
COLOURS = ("tab:orange", "tab:green", "tab:red", "tab:purple")


def draw_rate_curve(
    path: str | Path, curve: RateCurve, suggestions: RateSuggestions
) -> None:
    """Draws losses over the logarithm of the rate, with the suggestions.

    Args:
        path: The picture, a PNG file; written atomically.
        curve: The curve: smoothed as a line, each batch as a point.
        suggestions: What to mark on the curve.

    Raises: OSError when the picture cannot be written.
    """
    # Without pyplot: a picture in a file needs no window.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.8), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    rates, losses = curve.rates, curve.losses
    axes.scatter(
        rates, curve.batch_losses, s=6, color="0.75", label="each batch"
    )
    axes.plot(rates, losses, color="tab:blue", linewidth=1.6, label="smoothed")
    for (name, rate), colour in zip(
        asdict(suggestions).items(), COLOURS, strict=True
    ):
        height = np.interp(np.log(rate), np.log(rates), losses)
        axes.plot(
            rate,
            height,
            MARKERS[name],
            color=colour,
            label=f"{name} {rate:.1e}",
        )
        axes.axvline(rate, color=colour, linewidth=0.7, linestyle=":")
    low, high = min(losses), max(losses)
    margin = 0.1 * (high - low) or 1.0  # single batches may lie far outside
    axes.set_ylim(low - margin, high + margin)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate", fontsize=9)
    axes.set_ylabel("loss", fontsize=9)
    axes.grid(color="0.92")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5)
    )
    with atomic_write(path) as part:
        figure.savefig(part, format="png", facecolor="white")
