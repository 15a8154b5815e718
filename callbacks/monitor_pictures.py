"""Draws what the monitors have measured: depth downwards, time to the right."""

from pathlib import Path
from typing import Any

import numpy as np

from dropzoo.models.atomic_write import atomic_write

NAMES = 40  # more names of layers than these would overlap
BINS = 60


def draw_update_ratios(path: str | Path, history: list[dict[str, Any]]) -> None:
    """Draws the ratio of update and weights by its power of ten.

    White is 1e-3; red is more, blue is less, grey did not move at all.

    Args:
        path: The picture, a PNG file; written atomically.
        history: Of an `UpdateRatioMonitor`, not empty.

    Raises: OSError when the picture cannot be written.
    """
    steps, layers, ratios = _table(history, "update_ratio")
    with np.errstate(divide="ignore"):
        powers = np.log10(ratios)  # -inf: a layer that did not move
    figure = _figure(width=7, layers=len(layers))
    axes = figure.add_subplot()
    image = _show(axes, steps, powers, cmap="RdBu_r", vmin=-6, vmax=0)
    _name_layers(axes, layers)
    axes.set_xlabel("updates made", fontsize=9)
    bar = figure.colorbar(image, ax=axes, ticks=range(-6, 1), extend="both")
    bar.set_ticklabels([f"1e{power}" for power in range(-6, 1)], fontsize=8)
    bar.set_label("|update| / |weights|", fontsize=9)
    _save(figure, path)


def draw_activations(
    path: str | Path,
    history: list[dict[str, Any]],
    first: dict[str, np.ndarray],
    last: dict[str, np.ndarray],
) -> None:
    """Draws histograms over depth, and dead and saturated shares over time.

    Args:
        path: The picture, a PNG file; written atomically.
        history: Of an `ActivationMonitor`, not empty.
        first: Samples of each layer at the first measurement.
        last: At the last.

    Raises: OSError when the picture cannot be written.
    """
    figure = _figure(width=10, layers=len(last))
    left, middle, right = figure.subplots(
        1, 3, sharey=True, width_ratios=[1, 1, 1.25]
    )
    ends = history[0]["step"], history[-1]["step"]
    for axes, samples, step in zip(
        (left, middle), (first, last), ends, strict=True
    ):
        _show_histograms(axes, samples)
        axes.set_title(f"activations after {step} updates", fontsize=9)
        axes.set_xlabel("value", fontsize=9)
        axes.locator_params(axis="x", nbins=5)
    merged = [
        {"step": record["step"], "share": record["dead"] | record["saturated"]}
        for record in history
    ]
    steps, _, shares = _table(merged, "share", list(last))
    image = _show(right, steps, shares, cmap="magma_r", vmin=0, vmax=1)
    right.set_title("share that is dead or saturated", fontsize=9)
    right.set_xlabel("updates made", fontsize=9)
    figure.colorbar(image, ax=right)
    _name_layers(left, list(last))
    _save(figure, path)


def _table(history, quantity, layers=None):
    """Steps, layers, and what was measured: `(layers, steps)`, nan for none."""
    steps = [record["step"] for record in history]
    layers = layers or list(
        dict.fromkeys(layer for x in history for layer in x[quantity])
    )
    rows = [
        [record[quantity].get(layer, np.nan) for record in history]
        for layer in layers
    ]
    return steps, layers, np.array(rows, "float64")


def _show(axes, steps, rows, **colours):
    """Rows of coloured cells, each as wide as the time to the next."""
    step = np.diff(steps)[-1] if len(steps) > 1 else 1
    edges = [*steps, steps[-1] + step]
    axes.set_facecolor("0.85")  # what was not measured
    return axes.pcolormesh(edges, np.arange(len(rows) + 1), rows, **colours)


def _show_histograms(axes, samples: dict[str, np.ndarray]) -> None:
    """A row for each layer, dark where most of its values are."""
    finite = {k: v[np.isfinite(v)] for k, v in samples.items()}
    values = np.concatenate([*finite.values(), [0.0]])
    low, high = np.percentile(values, [0.5, 99.5])
    if high <= low:
        low, high = low - 1, high + 1
    edges = np.linspace(low, high, BINS + 1)
    rows = np.array([np.histogram(x, edges)[0] for x in finite.values()])
    largest = np.maximum(rows.max(axis=1, keepdims=True), 1)
    rows = np.sqrt(rows / largest)  # so that the tails are seen
    axes.pcolormesh(edges, np.arange(len(rows) + 1), rows, cmap="Blues")


def _name_layers(axes, layers: list[str]) -> None:
    every = -(-len(layers) // NAMES)
    shown = range(0, len(layers), every)
    axes.set_yticks([i + 0.5 for i in shown], [layers[i] for i in shown])
    axes.set_ylim(len(layers), 0)


def _figure(width: float, layers: int) -> Any:
    # Without pyplot: a picture in a file needs no window.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = 1.6 + 0.2 * min(max(layers, 6), NAMES)
    figure = Figure((width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: str | Path) -> None:
    for axes in figure.axes:
        axes.tick_params(labelsize=7)
    with atomic_write(path) as part:
        figure.savefig(part, format="png", facecolor="white")
