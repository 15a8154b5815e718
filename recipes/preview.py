"""A picture of what augmentation makes of training images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from dropzoo.callbacks.few_of_each_class import few_of_each_class
from dropzoo.data.augmented_batches import AugmentedBatches, split_names
from dropzoo.data.batch_mixing import BatchMixing
from dropzoo.data.named_augmentation import NamedAugmentation
from dropzoo.data.pipeline import evaluation_batches, image_seed
from dropzoo.models.atomic_write import atomic_write

ROWS, COLUMNS = 8, 8


def draw_preview(
    path: str | Path, batches: AugmentedBatches, class_names: Sequence[str]
) -> None:
    """Draws some images as they are, and as the first eight epochs see them.

    A row is one image. Where the training mixes the images of a batch, those
    of the other rows are mixed into it.

    Args:
        path: A PNG file.
        batches: What the training is given.
        class_names: In the order of the labels.

    Raises: OSError when the file cannot be written.
    """
    # Without pyplot: a picture in a file needs no window.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    few = few_of_each_class(batches.examples.labels, ROWS)
    labels = batches.examples.labels[few]
    columns = _columns(batches, few)
    figure = Figure(
        figsize=(len(columns), 1.16 * len(few) + 0.4), layout="constrained"
    )
    FigureCanvasAgg(figure)
    names = ", ".join(batches.names) or "nothing"
    figure.suptitle(f"As they are, and changed by {names}", fontsize=10)
    grid = figure.subplots(len(few), len(columns), squeeze=False)
    for row, label in enumerate(labels):
        grid[row][0].set_title(class_names[label], fontsize=8)
        for axes, images in zip(grid[row], columns, strict=True):
            axes.imshow(images[row])
            axes.set_axis_off()
    with atomic_write(path) as part:
        figure.savefig(part, format="png", dpi=110, facecolor="white")


def _columns(batches: AugmentedBatches, few: np.ndarray) -> list[np.ndarray]:
    """The images as they are, and as the first epochs see them."""
    examples = batches.examples.subset(few)
    changes, mixtures = split_names(batches.names)
    change = NamedAugmentation(changes, batches.size)
    mixing = BatchMixing(mixtures)
    plain = evaluation_batches(examples, batches.size, batch_size=len(few))
    ((images, labels),) = plain
    rows = tf.one_hot(labels, batches.num_classes)
    columns = [images]
    for epoch in range(COLUMNS):
        seeds = [image_seed(batches.seed, epoch, index) for index in few]
        changed = tf.stack(list(map(change, images, seeds)))
        if mixtures:
            mixture = image_seed(batches.seed, -2, epoch)
            changed, _ = mixing(changed, rows, mixture)
        columns.append(changed)
    return [np.asarray(column).astype("uint8") for column in columns]
