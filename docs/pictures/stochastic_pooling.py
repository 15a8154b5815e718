"""Draws docs/stochastic-pooling.png: one draw per region, on a real photo."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from sklearn.datasets import load_sample_image

from dropzoo.layers import StochasticPooling2D

FLOWER = slice(90, 402), slice(150, 462)
TOP, LEFT, SIDE = 196, 146, 4  # the patch that is shown with numbers
OUTPUT = Path(__file__).parents[1] / "stochastic-pooling.png"


def edges(photo):
    """A feature map as a first layer makes it: brighter to the right."""
    grey = photo.mean(-1)
    blurred = sum(np.roll(grey, shift, axis=0) for shift in range(-2, 3)) / 5
    return np.maximum(np.roll(blurred, -2, 1) - np.roll(blurred, 2, 1), 0)


def pool(layer, activations, **call):
    batch = activations[None, :, :, None].astype("float32")
    return keras.ops.convert_to_numpy(layer(batch, **call))[0, :, :, 0]


def show(axes, values, title, *, top):
    axes.imshow(values, cmap="magma", vmin=0, vmax=top, interpolation="nearest")
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def show_numbers(axes, values, title, *, top, share=None):
    """Values in their cells, with the percentage to be drawn where given."""
    show(axes, values, title, top=top)
    for (row, column), value in np.ndenumerate(values):
        text = f"{value:.0f}"
        if share is not None:
            text += f"\n{share[row, column]:.0%}"
        colour = "black" if value > 0.6 * top else "white"
        axes.text(
            column, row, text, ha="center", va="center", color=colour,
            fontsize=9,
        )  # fmt: skip


def frame(axes, left, top, side, colour):
    corner = (left - 0.5, top - 0.5)
    axes.add_patch(
        Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=2)
    )


def main():
    matplotlib.use("Agg")
    photo = load_sample_image("flower.jpg")
    feature_map = edges(photo)[FLOWER]
    patch = feature_map[TOP : TOP + SIDE, LEFT : LEFT + SIDE].round()
    sums = pool(keras.layers.AveragePooling2D(2), patch) * 4
    share = patch / np.kron(sums, np.ones((2, 2)))
    brightest, highest = 90, patch.max()

    figure = plt.figure(figsize=(8, 7.5), dpi=100, layout="constrained")
    rows = figure.subfigures(3, 1, height_ratios=[3, 1.6, 2.2])
    first = rows[0].subplots(1, 3)
    first[0].imshow(photo[FLOWER])
    first[0].set_title("photo", fontsize=9)
    first[0].axis("off")
    show(first[1], feature_map, "feature map after a ReLU", top=brightest)
    for axes in first[:2]:
        frame(axes, LEFT - 6, TOP - 6, SIDE + 12, "cyan")
    title = "in the box, four regions:\nactivation and probability"
    show_numbers(first[2], patch, title, top=highest, share=share)
    for left, above in ((0, 0), (0, 2), (2, 0), (2, 2)):
        frame(first[2], left, above, 2, "cyan")

    layer = StochasticPooling2D(seed=2)
    panels = {
        f"training, draw {number}": pool(layer, patch, training=True)
        for number in (1, 2, 3)
    }
    panels["inference"] = pool(layer, patch)
    panels["max pooling"] = pool(keras.layers.MaxPooling2D(2), patch)
    panels["average pooling"] = pool(keras.layers.AveragePooling2D(2), patch)
    second = rows[1].subplots(1, len(panels))
    for axes, (title, values) in zip(second, panels.items(), strict=True):
        show_numbers(axes, values, title, top=highest)

    layer = StochasticPooling2D(6, seed=1)
    max_pooling = keras.layers.MaxPooling2D(6)
    average_pooling = keras.layers.AveragePooling2D(6)
    panels = {
        "max pooling": pool(max_pooling, feature_map),
        "stochastic, training": pool(layer, feature_map, training=True),
        "stochastic, inference": pool(layer, feature_map),
        "average pooling": pool(average_pooling, feature_map),
    }
    third = rows[2].subplots(1, len(panels))
    for axes, (title, values) in zip(third, panels.items(), strict=True):
        show(axes, values, f"6x6 regions,\n{title}", top=brightest)
    figure.savefig(OUTPUT, facecolor="white", pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
