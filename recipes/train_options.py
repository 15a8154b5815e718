"""Groups of options that recipes which train from scratch share."""

import dataclasses
from pathlib import Path
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Photos:
    """What is learned from."""

    data: str | None = None
    """Photos: cifar10, fashion_mnist, digits, groceries, folder:PATH, npz:FILE,
    csv:FILE, idx:FOLDER, tfds:NAME, or just the path of a folder. Default: the
    paper's, or digits."""
    data_dir: str | None = None
    """Where TensorFlow Datasets keeps its data sets."""
    image_size: int | None = None
    """Side of the network's input in pixels. Default: the paper's, or the
    network's own."""
    augmentation: str | None = None
    """Random changes of training photos, in this order: shift, flip, crop,
    affine, colour, randaugment, erasing, mixup, cutmix, with commas between
    them; or none. Default: the paper's, or shift and, where safe, flip."""
    limit: int | None = None
    """Largest number of training photos, for a quick try."""
    preview: str | None = None
    """A PNG file, which shows what the augmentation makes of some photos."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How it is learned; what is left out is the paper's."""

    model: str | None = None
    """Network of the zoo; `dropzoo list` shows them. Default: the paper's, or
    resnet20_cifar."""
    epochs: int | None = None
    """Passes over the training photos."""
    batch_size: int | None = None
    """Photos for one update of the weights, on all devices together."""
    rate: float | None = None
    """Learning rate at its highest. Default: the paper's, times the batch size
    over the paper's."""
    weight_decay: float | None = None
    """Share of each weight that is added to its gradient."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """What it runs on."""

    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Number format of the layers; mixed ones are for GPUs."""
    devices: int = 1
    """Number of GPUs, or of processors without one, that share each batch."""
    accumulate: int = 1
    """Steps whose gradients make one update, where a batch is too large for
    the memory."""


def check_at_least_one(verb: str, **values: int | None) -> None:
    """Refuses numbers below 1.

    Args:
        verb: Opens the error.
        **values: Options by name; `None` was not given.

    Raises: ValueError when one of them is below 1.
    """
    for name, value in values.items():
        if value is not None and value < 1:
            raise ValueError(
                f"{verb}: `{name}` must be at least 1. "
                f"Received: {name}={value!r}"
            )


def check_options(
    verb: str,
    photos: Photos,
    training: Training,
    machine: Machine,
    *,
    budget: float,
    seed: int,
) -> None:
    """Refuses options outside their ranges.

    Args:
        verb: Opens the error.
        photos: What is learned from.
        training: How.
        machine: What on.
        budget: Share of the published work.
        seed: Of everything random.

    Raises: ValueError when one of them breaks its rule.
    """
    check_at_least_one(
        verb,
        epochs=training.epochs,
        batch_size=training.batch_size,
        image_size=photos.image_size,
        limit=photos.limit,
        devices=machine.devices,
        accumulate=machine.accumulate,
    )
    preview, decay = photos.preview, training.weight_decay
    rules = (
        ("budget", budget, "in (0, 1]", lambda x: 0 < x <= 1),
        ("rate", training.rate, "above 0", lambda x: x > 0),
        ("weight_decay", decay, "at least 0", lambda x: x >= 0),
        ("seed", seed, "in [0, 2**31)", lambda x: 0 <= x < 2**31),
        (
            "preview",
            preview,
            "a file that ends in .png",
            lambda x: Path(x).suffix.lower() == ".png",
        ),
    )
    for name, value, rule, holds in rules:
        if value is not None and not holds(value):
            raise ValueError(
                f"{verb}: `{name}` must be {rule}. Received: {name}={value!r}"
            )
