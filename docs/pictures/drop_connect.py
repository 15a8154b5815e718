"""Draws docs/drop-connect.png: masks, and what they do to a pre-activation."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import matplotlib
import numpy as np
from matplotlib import pyplot as plt

from dropzoo.layers import DropConnectDense

FEATURES, UNITS, EXAMPLES = 8, 12, 4
DRAWS = 20_000
DROPPED = "0.92"
OUTPUT = Path(__file__).parents[1] / "drop-connect.png"


def masked_kernels(masks):
    """The kernel as each example meets it: what its unit vectors give."""
    rng = np.random.default_rng(1)
    # None so near to 0 that it would look dropped.
    kernel = rng.uniform(0.6, 2.5, size=(FEATURES, UNITS))
    kernel *= rng.choice([-1, 1], size=kernel.shape)
    layer = DropConnectDense(
        UNITS,
        rate=0.5,
        masks=masks,
        use_bias=False,
        scale="inference",
        seed=8 if masks == "example" else 9,
    )
    units = np.tile(np.eye(FEATURES, dtype="float32"), (EXAMPLES, 1, 1))
    layer.build(units.shape)
    layer.set_weights([kernel])
    return keras.ops.convert_to_numpy(layer(units, training=True))


def show_masks(row, masks, title):
    colors = plt.get_cmap("RdBu_r").with_extremes(bad=DROPPED)
    kernels = masked_kernels(masks)
    for example, (axes, kernel) in enumerate(zip(row, kernels, strict=True)):
        shown = np.ma.masked_equal(kernel, 0)
        axes.pcolormesh(
            shown[::-1], cmap=colors, vmin=-2.5, vmax=2.5, edgecolor="white"
        )
        axes.set_facecolor(DROPPED)
        axes.set_aspect("equal")
        axes.set_xticks([])
        axes.set_yticks([])
        if masks == "example":
            axes.set_title(f"the kernel of example {example + 1}", fontsize=8)
    row[0].set_ylabel(title, fontsize=8)


def pre_activations(num_inputs, masks):
    """What one unit gets over many draws: as many units of equal weights."""
    rng = np.random.default_rng(2)
    x = rng.exponential(size=(1, num_inputs)).astype("float32")
    weights = rng.normal(size=(num_inputs, 1)) / np.sqrt(num_inputs)
    layer = DropConnectDense(DRAWS, masks=masks, use_bias=False, seed=1)
    layer.build(x.shape)
    layer.set_weights([np.repeat(weights, DRAWS, axis=1)])
    draws = keras.ops.convert_to_numpy(layer(x, training=True))[0]
    # At rate 0.5, what is kept is doubled: mean w x, variance (w x)^2.
    products = weights[:, 0] * x[0]
    return draws, products.sum(), np.sqrt((products**2).sum())


def show_distribution(axes, num_inputs):
    draws, mean, deviation = pre_activations(num_inputs, "example")
    normal_draws = pre_activations(num_inputs, "gaussian")[0]
    edges = mean + deviation * np.linspace(-3.5, 3.5, 57)
    axes.hist(
        draws, edges, density=True, color="tab:orange", label='masks="example"'
    )
    axes.hist(
        normal_draws, edges, density=True, histtype="step", color="tab:blue",
        label='masks="gaussian"',
    )  # fmt: skip
    u = np.linspace(edges[0], edges[-1], 300)
    density = np.exp(-(((u - mean) / deviation) ** 2) / 2)
    axes.plot(
        u, density / deviation / np.sqrt(2 * np.pi), color="black",
        linewidth=0.8, label="normal, same mean and variance",
    )  # fmt: skip
    axes.set_title(f"a unit with {num_inputs} inputs", fontsize=8)
    axes.set_xlabel(f"pre-activation in {DRAWS:,} draws", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_yticks([])
    axes.set_ylim(0, 0.62 / deviation)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)


def main():
    matplotlib.use("Agg")
    figure = plt.figure(figsize=(8, 5.6), facecolor="white")
    top, bottom = figure.subfigures(2, 1, height_ratios=[3, 2.5])
    rows = top.subplots(2, EXAMPLES)
    show_masks(rows[0], "example", 'masks="example"')
    show_masks(rows[1], "batch", 'masks="batch"')
    top.subplots_adjust(0.05, 0.03, 0.99, 0.92, 0.06, 0.06)
    panels = bottom.subplots(1, 2)
    for axes, num_inputs in zip(panels, (6, 300), strict=True):
        show_distribution(axes, num_inputs)
    panels[1].legend(fontsize=7, frameon=False, loc="upper left")
    bottom.subplots_adjust(0.05, 0.2, 0.99, 0.86, 0.06)
    figure.savefig(OUTPUT, dpi=150)


if __name__ == "__main__":
    main()
