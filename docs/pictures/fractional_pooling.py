"""Draws docs/fractional-pooling.png: regions on a real photo, and what is left.

Above, the regions of one pooling over a few pixels; below, a photo after eight
poolings in a row.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_sample_image

from dropzoo.layers import FractionalMaxPooling2D

ROOF = slice(0, 360), slice(230, 590)
COARSE = 15  # pixels of the photo to one of the upper panels
POOLINGS = 8
OUTPUT = Path(__file__).parents[1] / "fractional-pooling.png"


def coarsen(photo, side):
    height, width, channels = photo.shape
    blocks = (height // side, side, width // side, side, channels)
    return photo.reshape(blocks).mean((1, 3))


def spans(axis):
    """First and last edge of each region, in pixels."""
    starts = keras.ops.convert_to_numpy(axis.starts)
    sizes = np.broadcast_to(
        keras.ops.convert_to_numpy(axis.sizes), starts.shape
    )
    first, last = starts[0, 0] - 0.5, (starts + sizes)[0, 0] - 0.5
    return list(zip(first, last, strict=True))


def draw_regions(axes, image, layer, title, *, is_random):
    """Lines where regions start and end, a shade where two share pixels."""
    rows, columns = layer.find_regions((1, *image.shape), is_random)
    axes.imshow(image / 255)
    for found, line, shade in (
        (spans(rows), axes.axhline, axes.axhspan),
        (spans(columns), axes.axvline, axes.axvspan),
    ):
        for start, stop in found:
            line(start, color="#e8590c", linewidth=0.9)
            line(stop, color="#e8590c", linewidth=0.9)
        for (_, stop), (start, _) in zip(found, found[1:], strict=False):
            if start < stop:
                shade(start, stop, color="black", alpha=0.5, linewidth=0)
    show(axes, title)


def show(axes, title):
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def shrink(photo, **options):
    """The photo after several poolings, each with a draw of its own."""
    x = photo[None].astype("float32")
    for seed in range(POOLINGS):
        layer = FractionalMaxPooling2D(2**0.25, seed=seed, **options)
        x = layer(x, training=True)
    return keras.ops.convert_to_numpy(x)[0] / 255


def main():
    matplotlib.use("Agg")
    photo = load_sample_image("china.jpg")[ROOF]
    image = coarsen(photo, COARSE)
    figure = plt.figure(figsize=(8, 6.6), dpi=100, layout="constrained")
    panels = figure.subplots(3, 4)
    columns = [
        ("pseudorandom", 1, True, "training, draw 1"),
        ("pseudorandom", 2, True, "training, draw 2"),
        ("random", 1, True, 'sequence="random"'),
        ("pseudorandom", 1, False, "inference"),
    ]
    for row, overlapping in zip(panels, (True, False), strict=False):
        for axes, (sequence, seed, is_random, title) in zip(
            row, columns, strict=True
        ):
            layer = FractionalMaxPooling2D(
                sequence=sequence, overlapping=overlapping, seed=seed
            )
            if not overlapping:
                title = "without overlap"
            draw_regions(axes, image, layer, title, is_random=is_random)
    draws = {
        "photo": photo / 255,
        "max pooling by 2, twice": keras.ops.convert_to_numpy(
            keras.layers.MaxPooling2D(4)(photo[None].astype("float32"))
        )[0]
        / 255,
        f"{POOLINGS} poolings by 2^(1/4),\npseudorandom": shrink(photo),
        f"{POOLINGS} poolings by 2^(1/4),\nrandom": shrink(
            photo, sequence="random"
        ),
    }
    for axes, (title, values) in zip(panels[2], draws.items(), strict=True):
        axes.imshow(values)
        show(axes, title)
    figure.savefig(OUTPUT, facecolor="white", pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
