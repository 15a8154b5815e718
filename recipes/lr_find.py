"""Finds the learning rate at which to fine-tune a network.

    dropzoo lr-find --data folder:PHOTOS

A range test: the network, pretrained and with the head that `dropzoo finetune`
starts from, trains for 100 steps with the optimizer, the augmentation and the
frozen levels of `dropzoo finetune`, at a rate that rises from 1e-7 to 10. Where
the loss rises, the rate is too high. The curve is drawn, and four rates are
read off it; docs/learning-rate-finder.md tells how, and what they are worth.

Papers: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017,
section 3.3; the readings are those of fastai 2.8. Hardware and time: a CPU
does; 100 steps take as long as in fine-tuning. Measured accuracy: none, for
nothing is kept but the curve.

The options worth changing: `--head random` (training from scratch), `--freeze`,
`--batch-size`.
"""

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from dropzoo.recipes.finetune import Config as FineTuneConfig
from dropzoo.recipes.finetune import default_freeze
from dropzoo.recipes.interruption import interruptible
from dropzoo.recipes.options import parse
from dropzoo.recipes.pretrained import starting_point
from dropzoo.recipes.quiet_start import quiet_start

if TYPE_CHECKING:
    import keras

    from dropzoo.callbacks import LearningRateFinder, RateSuggestions
    from dropzoo.data import ImageData
    from dropzoo.recipes.steps import Steps


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of a range test; most are those of `dropzoo finetune`."""

    data: str = "groceries"
    """Photos: groceries, digits, cifar10, fashion_mnist, folder:PATH, npz:FILE,
    csv:FILE, idx:FOLDER, tfds:NAME, or just the path of a folder."""
    data_dir: str | None = None
    """Where TensorFlow Datasets keeps its data sets."""
    model: str = "efficientnet_lite0"
    """Network of the zoo; `dropzoo list` shows them."""
    weights: str = "imagenet"
    """Where to start: a tag of the network, a file, an earlier run's folder,
    or `random`."""
    head: Literal["fitted", "random"] = "fitted"
    """The classifier to start from: fitted on the frozen network's features,
    as `dropzoo finetune` does, or random."""
    out: str = "lr-find.png"
    """The picture, a PNG file; the figures go beside it, as .csv."""
    start_rate: float = 1e-7
    """The first rate."""
    end_rate: float = 10.0
    """The last rate."""
    iterations: int = 100
    """Training steps of the test."""
    image_size: int | None = None
    """Side of the network's input in pixels. Default: the network's own."""
    batch_size: int = 32
    """Photos in a training step."""
    freeze: Annotated[str | None, tyro.conf.arg(metavar="none|LEVEL")] = None
    """What stays as it was: `none`, or a level such as stride_8, which freezes
    from the input up to it. Default: stride_4 with pretrained weights, `none`
    with random ones."""
    augmentation: Literal["none", "light", "strong"] = "strong"
    """How much training photos are changed at random."""
    seed: int = 0
    """Seed of splits, order, augmentation and dropout."""
    limit: int | None = None
    """Largest number of training photos, for a quick try."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "limit", "image_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(
                    f"lr-find: `{name}` must be at least 1. "
                    f"Received: {name}={value!r}"
                )
        if not 0 <= self.seed < 2**31:
            raise ValueError(
                "lr-find: `seed` must be in [0, 2**31). "
                f"Received: seed={self.seed!r}"
            )
        if Path(self.out).suffix.lower() != ".png":
            raise ValueError(
                f"lr-find: `out` must end in .png. Received: out={self.out!r}"
            )
        if self.freeze == "all":
            raise ValueError(
                "lr-find: `freeze` must leave something to train: `none` or a "
                "level. Received: freeze='all'"
            )


@dataclasses.dataclass(frozen=True)
class Result:
    """What a range test came to.

    Args:
        suggestions: Four rates.
        rates: Rate of each step.
        losses: Smoothed loss of each step.
        picture: The curve, a PNG file.
        table: Its figures, a CSV file.
    """

    suggestions: "RateSuggestions"
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    picture: Path
    table: Path


@interruptible()
def run(config: Config) -> Result:
    """Runs the test; progress goes to standard error.

    Args:
        config: The options.

    Returns: The suggestions, and where the curve is.

    Raises:
        ValueError: An option breaks its rule, the data are not usable, or the
            loss diverges before there is a curve.
        OSError: Something cannot be read or written.
    """
    # Imported here: `dropzoo lr-find --help` needs no TensorFlow.
    import keras

    from dropzoo.callbacks import LearningRateFinder
    from dropzoo.recipes.photo_loading import load_photos
    from dropzoo.recipes.steps import Steps

    # Its own arguments are checked before anything is loaded.
    finder = LearningRateFinder(
        config.start_rate, config.end_rate, config.iterations
    )
    picture = Path(config.out)
    picture.parent.mkdir(parents=True, exist_ok=True)
    steps = Steps()
    keras.utils.set_random_seed(config.seed)

    data = load_photos(
        config.data,
        steps,
        seed=config.seed,
        limit=config.limit,
        data_dir=config.data_dir,
    )

    with steps.step("Model"):
        network = _network(config, data, steps)

    with steps.step("Range test"):
        suggestions = _test(config, finder, network, data, steps)

    with steps.step("Keep"):
        finder.plot(picture)
        table = picture.with_suffix(".csv")
        _write_table(table, finder)
    return Result(
        suggestions,
        tuple(finder.rates),
        tuple(finder.losses),
        picture,
        table,
    )


def _network(
    config: Config, data: "ImageData", steps: "Steps"
) -> "keras.Model":
    """The network as fine-tuning begins with it, compiled."""
    from dropzoo.models import freeze
    from dropzoo.models.heads import set_head
    from dropzoo.recipes.fine_tuning import compile_network
    from dropzoo.recipes.head_fitting import fit_head

    start = starting_point(
        config.model, config.weights, config.image_size, Config.model
    )
    steps.say(start.loaded)
    network = start.with_classifier(data.num_classes, config.seed)
    if config.head == "fitted":
        probe = fit_head(config, data, start.backbone, steps).probe
        steps.say(
            f"A head is fitted: {probe.accuracy:.1%} right when held out."
        )
        set_head(network, *probe.head)
    freeze(network, config.freeze or default_freeze(network, config.weights))
    compile_network(network, FineTuneConfig.peak_rate)  # the test sets its own
    return network


def _test(
    config: Config,
    finder: "LearningRateFinder",
    network: "keras.Model",
    data: "ImageData",
    steps: "Steps",
) -> "RateSuggestions":
    """Runs the range test on the training photos."""
    from dropzoo.callbacks import CallAfterBatch, ProgressBar
    from dropzoo.data import Augmentation
    from dropzoo.data.pipeline import image_errors, training_batches
    from dropzoo.recipes.head_fitting import uses_flips
    from dropzoo.recipes.interruption import check_interruption

    batches = training_batches(
        data.train,
        network.input_shape[1:3],
        batch_size=min(config.batch_size, len(data.train)),
        augmentation=Augmentation(
            config.augmentation, flips=uses_flips(config, data)
        ),
        seed=config.seed,
        steps=range(config.iterations),
    )
    with steps.bar("range test", config.iterations) as bar, image_errors():
        return finder.find(
            network,
            batches,
            callbacks=[
                ProgressBar(bar.progress, bar.task, "range test"),
                CallAfterBatch(check_interruption),
            ],
        )


def _write_table(path: Path, finder: "LearningRateFinder") -> None:
    from dropzoo.models.atomic_write import atomic_write

    with atomic_write(path) as part:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["rate", "loss", "smoothed_loss"])
            writer.writerows(
                zip(
                    finder.rates,
                    finder.batch_losses,
                    finder.losses,
                    strict=True,
                )
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the recipe from the command line.

    Args:
        argv: Words of the command line after the verb. `None` reads
            `sys.argv[1:]`.

    Returns: 0, the exit status.
    """
    config = parse(
        Config,
        argv,
        prog="dropzoo lr-find",
        description="Find the learning rate at which to fine-tune.",
    )
    quiet_start()
    _print_table(run(config))
    return 0


def _print_table(result: Result) -> None:
    from dropzoo.recipes.output_table import new_table, print_table

    table = new_table("reading", ">rate")
    for name, rate in dataclasses.asdict(result.suggestions).items():
        table.add_row(name, f"{rate:.1e}")
    print_table(table)
    lowest = 10 * result.suggestions.minimum
    print(
        f"\nTry --peak-rate {result.suggestions.valley:.1e}, the valley. The "
        f"loss is lowest at {lowest:.1e}; go no higher. {result.picture} shows "
        "the curve."
    )
