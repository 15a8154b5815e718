"""Draws docs/drop-block.png: which cells survive five ways of dropping."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image
from sklearn.datasets import load_sample_image

from dropzoo.layers import DropBlock2D, MaxDrop

RATE = 0.15
SIDE = 10  # pixels of the photo in a cell of the map
DROPPED = (0.1, 0.85, 1.0)
OUTPUT = Path(__file__).parents[1] / "drop-block.png"


def feature_maps(photo):
    """Four maps as a first layer makes them: brighter down, up, right, left."""
    grey = photo.mean(-1) / 255
    height, width = (side // SIDE for side in grey.shape)
    grey = grey[: height * SIDE, : width * SIDE]
    cells = grey.reshape(height, SIDE, width, SIDE).mean((1, 3))
    down, right = np.gradient(cells)
    return np.stack([down, -down, right, -right], -1).clip(0).astype("float32")


def survivors(layer, maps):
    output = layer(maps[None] + 1e-6, training=True)  # no cell is 0 by itself
    return keras.ops.convert_to_numpy(output)[0] != 0


def show(axes, feature_map, kept, title):
    brightness = (feature_map / np.quantile(feature_map, 0.99)).clip(0, 1)
    image = plt.get_cmap("magma")(brightness)[..., :3]
    image[~kept] = DROPPED
    axes.imshow(image)
    axes.set_title(title, fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])


def show_methods(figure, maps):
    methods = {
        "feature maps": lambda maps, training: maps,
        "Dropout": keras.layers.Dropout(RATE, seed=1),
        "SpatialDropout2D": keras.layers.SpatialDropout2D(0.25, seed=17),
        "DropBlock2D": DropBlock2D(RATE, block_size=7, seed=1),
        "MaxDrop, block 7": MaxDrop(0.75, block_size=7, seed=3),
        'MaxDrop, "channel"': MaxDrop(0.5, mode="channel", seed=1),
    }
    grid = figure.subplots(maps.shape[-1], len(methods))
    for column, (title, layer) in zip(grid.T, methods.items(), strict=True):
        kept = survivors(layer, maps)
        for channel, axes in enumerate(column):
            show(
                axes, maps[..., channel], kept[..., channel],
                "" if channel else title,
            )  # fmt: skip


def realised(rate, side, block_size=7):
    """The share of cells that the layer drops, on many maps."""
    layer = DropBlock2D(rate, block_size=block_size, seed=1)
    ones = np.ones((64, side, side, 64), "float32")
    return keras.ops.convert_to_numpy(layer(ones, training=True)) == 0


def with_the_formula_of_the_paper(rate, side, block_size=7):
    """The share that the paper's gamma leads to, by counting coverings."""
    starts = side - block_size + 1
    gamma = rate * side**2 / (block_size * starts) ** 2
    covers = np.convolve(np.ones(starts), np.ones(block_size))
    return 1 - ((1 - gamma) ** np.outer(covers, covers)).mean()


def show_rates(axes, side):
    rates = np.linspace(0.05, 0.5, 10)
    ours = [realised(rate, side).mean() for rate in rates]
    theirs = [with_the_formula_of_the_paper(rate, side) for rate in rates]
    axes.plot(rates, rates, color="0.8", linewidth=4, label="nominal")
    axes.plot(rates, ours, "o", markersize=4, label="DropBlock2D, measured")
    axes.plot(rates, theirs, "--", label="the paper's gamma")
    axes.set_title(f"share dropped of a {side}x{side} map", fontsize=8)
    axes.set_xlabel("rate", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7)


def main():
    matplotlib.use("Agg")
    photo = load_sample_image("china.jpg")
    figure = plt.figure(figsize=(8, 6.6), dpi=100, layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.5, 1])
    show_methods(upper, feature_maps(photo))
    upper.suptitle(
        "four channels of one sample; what is dropped is blue", fontsize=9
    )
    photo_axes, rate_axes, cell_axes = lower.subplots(1, 3)
    photo_axes.imshow(photo[::2, ::2])
    photo_axes.set_title("the photo", fontsize=8)
    photo_axes.axis("off")
    show_rates(rate_axes, 14)
    image = cell_axes.imshow(
        realised(0.3, 14).mean(axis=(0, 3)), cmap="viridis", vmin=0
    )
    cell_axes.set_title("how often each cell falls, rate 0.3", fontsize=8)
    cell_axes.tick_params(labelsize=7)
    lower.colorbar(image, ax=cell_axes, shrink=0.8).ax.tick_params(labelsize=7)
    figure.savefig(OUTPUT, facecolor="white")
    Image.open(OUTPUT).convert("RGB").quantize(256).save(OUTPUT, optimize=True)


if __name__ == "__main__":
    main()
