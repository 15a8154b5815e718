"""Draws which blocks of a deep network survive, batch by batch.

    python docs/pictures/stochastic_depth.py

Writes docs/stochastic-depth.png. The gates are those of `StochasticResidual`:
each block adds 1 to its input where its branch is computed.
"""

from pathlib import Path

import keras
import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from dropzoo.layers import StochasticResidual, linear_decay

BLOCKS, RATE, SHOWN, BATCHES = 54, 0.5, 60, 400
DARK, LIGHT, ACCENT = "#20456b", "#e9edf2", "#d1603d"


def draw_gates() -> np.ndarray:
    """Returns which blocks are computed, `(batches, blocks)`."""
    ones = np.ones((1, 1), "float32")
    blocks = [
        StochasticResidual(
            keras.layers.Rescaling(1.0), rate=rate, scale="inference", seed=seed
        )
        for seed, rate in enumerate(linear_decay(RATE, BLOCKS))
    ]
    outputs = [
        [float(block(ones, training=True)[0, 0]) for block in blocks]
        for _ in range(BATCHES)
    ]
    return np.array(outputs) == 2


def show_batches(axes, gates: np.ndarray) -> None:
    """Draws a column for each mini-batch and a row for each block."""
    colours = matplotlib.colors.ListedColormap([LIGHT, DARK])
    axes.pcolormesh(
        np.arange(SHOWN + 1) + 0.5,
        np.arange(BLOCKS + 1) + 0.5,
        gates[:SHOWN].T,
        cmap=colours,
        edgecolors="white",
        linewidth=0.3,
    )
    axes.set(
        title="Which blocks are computed",
        xlabel="mini-batch",
        ylabel="block, counted from the input",
        yticks=[1, 9, 18, 27, 36, 45, 54],
    )


def show_shares(axes, gates: np.ndarray) -> None:
    """Draws how often each block survives, beside its probability."""
    numbers = np.arange(1, BLOCKS + 1)
    keep = 1 - np.array(linear_decay(RATE, BLOCKS))
    axes.plot(keep, numbers, color=DARK, lw=2, label="1 - rate")
    shares = gates.mean(axis=0)
    axes.plot(shares, numbers, ".", color=ACCENT, ms=5, label="as drawn")
    axes.set(title="How often", xlabel="share kept", xlim=(0.45, 1.02))
    axes.tick_params(labelleft=False)
    axes.legend(frameon=False, loc="lower left")


def show_rules(axes) -> None:
    """Draws the rates of a few blocks by each rule."""
    blocks = 6
    numbers = np.arange(1, blocks + 1)
    for rule, line in (
        ("paper", "o-"),
        ("efficientnet", "s--"),
        ("timm", "^:"),
    ):
        rates = linear_decay(RATE, blocks, rule=rule)
        axes.plot(numbers, rates, line, ms=5, label=f'"{rule}"')
    axes.set(
        title=f"Rules, for {blocks} blocks",
        xlabel="block",
        ylabel="rate of dropping",
        yticks=[0, 0.25, 0.5],
    )
    axes.legend(frameon=False)


def show_depths(axes, gates: np.ndarray) -> None:
    """Draws how many blocks a batch passes, against the expectation."""
    depths = gates.sum(axis=1)
    edges = np.arange(depths.min(), depths.max() + 2) - 0.5
    axes.hist(depths, edges, color=DARK, edgecolor="white", lw=0.5)
    expected = (3 * BLOCKS - 1) / 4
    label = f"(3L - 1) / 4\n= {expected}"
    axes.axvline(expected, color=ACCENT, lw=2, label=label)
    axes.set(
        title=f"How deep, in {BATCHES} batches",
        xlabel=f"blocks computed, of {BLOCKS}",
        ylabel="batches",
        xlim=(28, 56),
    )
    axes.legend(frameon=False, loc="upper right")


def main() -> None:
    """Draws the four panels and saves them beside the page."""
    gates = draw_gates()
    figure, axes = plt.subplot_mosaic(
        [["batches", "shares", "depths"], ["batches", "shares", "rules"]],
        figsize=(10.5, 5.4),
        width_ratios=(2.1, 0.8, 1.4),
        layout="constrained",
        facecolor="white",
    )
    show_batches(axes["batches"], gates)
    axes["shares"].sharey(axes["batches"])
    show_shares(axes["shares"], gates)
    show_depths(axes["depths"], gates)
    show_rules(axes["rules"])
    for panel in axes.values():
        panel.spines[["top", "right"]].set_visible(False)
    path = Path(__file__).parents[1] / "stochastic-depth.png"
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
