"""Draws the rate of a training in cycles, with its snapshots on it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dropzoo.models.atomic_write import atomic_write


def draw_snapshots(
    path: str | Path,
    rates: np.ndarray,
    num_epochs: int,
    snapshots: Sequence[float],
    errors: Sequence[float],
) -> None:
    """Draws the learning rate over epochs, and a mark at each snapshot.

    Args:
        path: The picture, a PNG file; written atomically.
        rates: The rate of each optimizer step.
        num_epochs: Number of epochs in all these steps.
        snapshots: Number of epochs behind each snapshot.
        errors: Validation error of each snapshot, in [0, 1].

    Raises: OSError when the picture cannot be written.
    """
    # Without pyplot: a picture in a file needs no window.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.9), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    epochs = np.arange(1, len(rates) + 1) * (num_epochs / len(rates))
    axes.plot(epochs, rates, color="tab:blue", linewidth=1.4)
    for place, error in zip(snapshots, errors, strict=True):
        axes.axvline(place, color="0.75", linewidth=0.8, linestyle=":")
        height = rates[round(place * len(rates) / num_epochs) - 1]
        axes.plot(
            place, height, "o", color="tab:orange", clip_on=False, zorder=3
        )
        axes.annotate(
            f"{error:.1%}",
            (place, height),
            xytext=(-3, 8),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axes.plot([], [], "o", color="tab:orange", label="snapshot, with its error")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, num_epochs)
    axes.set_xlabel("epoch", fontsize=9)
    axes.set_ylabel("learning rate", fontsize=9)
    axes.grid(color="0.92")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1)
    )
    with atomic_write(path) as part:
        figure.savefig(part, format="png", facecolor="white")
