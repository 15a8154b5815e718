"""Fine-tunes a pretrained network on a folder of photos.

    dropzoo finetune --data folder:PHOTOS

Seven steps: look at the data, load a pretrained network, check that both fit
together, fit a head on frozen features, fine-tune from that head, measure once
on test photos, keep everything. With no options it runs on an embedded set of
grocery photos.

Papers: Kumar et al., "Fine-Tuning can Distort Pretrained Features", 2022 (head
first, then everything); Kornblith et al., "Do Better ImageNet Models Transfer
Better?", 2019 (the probe). Times and accuracies measured here: README.md,
"What to expect".

The options worth changing: `--model` (a larger network), `--epochs`,
`--augmentation`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from dropzoo.recipes.interruption import interruptible
from dropzoo.recipes.open_run import open_run
from dropzoo.recipes.options import command, parse
from dropzoo.recipes.pretrained import network_name, starting_point
from dropzoo.recipes.quiet_start import announced_start
from dropzoo.recipes.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

Freeze = Annotated[str, tyro.conf.arg(metavar="all|none|LEVEL")]

# Fine-tuning of 732 photos takes 16 epochs; more photos take fewer epochs, so
# that an evening is enough.
MOST_EPOCHS, FEWEST_EPOCHS, PHOTOS_SEEN = 16, 4, 24_000


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of a fine-tuning run."""

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
    out: str | None = None
    """Folder of the run; it must not exist yet. Default: a new one in runs/."""
    resume: str | None = None
    """Folder of a stopped run to go on with; its own options hold."""
    image_size: int | None = None
    """Side of the network's input in pixels. Default: the network's own."""
    batch_size: int = 32
    """Photos in a training step."""
    epochs: int | None = None
    """Epochs of fine-tuning. Default: 4 to 16, by the number of photos."""
    peak_rate: float = 1e-4
    """Learning rate after warm-up."""
    freeze: Freeze | None = None
    """What stays as it was: `none`, `all` (fit the head only), or a level such
    as stride_8, which freezes from the input up to it. Default: stride_4 with
    pretrained weights, `none` with random ones."""
    thaw_share: float = 0.0
    """Share of the epochs in which what trains is thawed level by level, from
    the head back; 0 thaws all at once."""
    augmentation: Literal["none", "light", "strong"] = "strong"
    """How much training photos are changed at random."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Number format of the layers; mixed ones are for GPUs."""
    seed: int = 0
    """Seed of splits, order, augmentation and dropout."""
    limit: int | None = None
    """Largest number of training photos, for a quick try."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "limit", "image_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(
                    f"finetune: `{name}` must be at least 1. "
                    f"Received: {name}={value!r}"
                )
        if not 0 < self.peak_rate < 1:
            raise ValueError(
                "finetune: `peak_rate` must be in (0, 1). "
                f"Received: peak_rate={self.peak_rate!r}"
            )
        if not 0 <= self.thaw_share < 1:
            raise ValueError(
                "finetune: `thaw_share` must be in [0, 1). "
                f"Received: thaw_share={self.thaw_share!r}"
            )
        if not 0 <= self.seed < 2**31:
            raise ValueError(
                "finetune: `seed` must be in [0, 2**31). "
                f"Received: seed={self.seed!r}"
            )


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run came to.

    Args:
        folder: Where everything is kept.
        kept: `"fine-tuned"` or `"head only"`.
        accuracy: Of the kept model on the test photos, in [0, 1]; `None`
            without test photos.
        probe_accuracy: The same of the head on frozen features.
        seconds: Of each step.
    """

    folder: Path
    kept: str
    accuracy: float | None
    probe_accuracy: float | None
    seconds: dict[str, float]


def run(config: Config) -> Result:
    """Runs the seven steps.

    Args:
        config: The options.

    Returns: What came out; the rest is in the run's folder.

    Raises:
        ValueError: An option breaks its rule, or the data are not usable.
        OSError: Something cannot be read or written.
    """
    with _open(config) as (folder, options):
        return _run(options, folder)


def _open(config: Config):
    """Opens the run's folder, named by photos and network."""
    source = Path(config.data.split(":")[-1]).name
    network = network_name(config.model, config.weights)
    return open_run("finetune", config, f"{source}-{network}")


@interruptible()
def _run(config: Config, folder: RunFolder) -> Result:
    # Imported here: `dropzoo finetune --help` needs no TensorFlow.
    import keras

    from dropzoo.data import Augmentation
    from dropzoo.models import freeze, unfreeze
    from dropzoo.recipes import keeping
    from dropzoo.recipes.fine_tuning import FineTuning, Settings
    from dropzoo.recipes.head_fitting import fit_head, uses_flips
    from dropzoo.recipes.photo_loading import load_photos
    from dropzoo.recipes.sanity import check_start
    from dropzoo.recipes.steps import Steps
    from dropzoo.recipes.thawing import thawing_stages

    steps = Steps()
    steps.say(f"Run folder: {folder.path}")
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)

    data = load_photos(
        config.data,
        steps,
        seed=config.seed,
        limit=config.limit,
        data_dir=config.data_dir,
    )

    with steps.step("Model"):
        start = starting_point(
            config.model, config.weights, config.image_size, Config.model
        )
        network = start.with_classifier(data.num_classes, config.seed)
        frozen = config.freeze or default_freeze(network, config.weights)
        # An unknown level is refused now, not after the probe.
        freeze(network, frozen)
        unfreeze(network)
        thawing_stages(network, frozen, 1, config.thaw_share)
        steps.say(start.loaded)

    with steps.step("Sanity"):
        check_start(network, data.train, data.num_classes, steps.say)

    with steps.step("Probe"):
        pool, folds, probe, reused = fit_head(
            config, data, start.backbone, steps
        )
    if reused:
        steps.say(
            f"Features of {reused} photos were computed before and are used "
            "again."
        )
    steps.say(
        f"Head alone: {probe.accuracy:.1%} right on {probe.num_judged} "
        f"held-out photos (C = {probe.inverse_strength:g})."
    )

    # From the fitted head, so that the first gradients are not those of a
    # random one; kept only where it helps on photos it has not seen.
    settings = Settings(
        peak_rate=config.peak_rate,
        batch_size=config.batch_size,
        epochs=config.epochs or default_epochs(len(folds.learn)),
        freeze=frozen,
        augmentation=Augmentation(
            config.augmentation, flips=uses_flips(config, data)
        ),
        seed=config.seed,
        thaw_share=config.thaw_share,
    )
    folder.hold_to(data.digest())
    with steps.step("Fine-tune"):
        tuning = FineTuning(network, settings, folder.state)
        verdict, history = tuning.run(pool, folds, probe, steps)
    steps.say(verdict.sentence())

    with steps.step("Evaluate"):
        # The test photos are used here, once, after every choice is made.
        outcome = keeping.measure(tuning, probe, verdict.helps, data, steps)
    for line in outcome.lines():
        steps.say(line)

    with steps.step("Keep"):
        keeping.keep_model(folder, network, data)
    keeping.keep_report(
        folder,
        command=command("finetune", config),
        config=dataclasses.asdict(config),
        data=data,
        start=start,
        rates={"head": tuning.rates(len(folds.learn))} if history else {},
        verdict=verdict,
        history=history,
        outcome=outcome,
        timings=steps.seconds,
    )
    folder.finish()
    steps.say(f"Report: {folder.path / 'report.html'}")
    return Result(
        folder=folder.path,
        kept="fine-tuned" if verdict.helps else "head only",
        accuracy=outcome.final.accuracy if outcome.final else None,
        probe_accuracy=outcome.head.accuracy if outcome.head else None,
        seconds=dict(steps.seconds),
    )


def default_epochs(num_photos: int) -> int:
    """16 epochs up to 1,500 photos, then fewer, but at least 4.

    Args:
        num_photos: Number of photos to learn from, at least 1.
    """
    return max(FEWEST_EPOCHS, min(MOST_EPOCHS, PHOTOS_SEEN // num_photos))


def default_freeze(network: "keras.Model", weights: str) -> str:
    """The finest levels of a pretrained network, nothing of a random one.

    The finest levels see edges and colours, which are the same in all photos,
    and cost the most time to train.

    Args:
        network: The network.
        weights: Where it starts; see `Config`.

    Returns: What `models.freeze` takes.
    """
    from dropzoo.models.freezing import levels

    if weights == "random" or "stride_4" not in levels(network):
        return "none"
    return "stride_4"


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
        prog="dropzoo finetune",
        description="Fine-tune a pretrained network on a folder of photos.",
    )
    with _open(config) as (folder, options):  # a mistake is told at once
        announced_start()
        result = _run(options, folder)
    print(result.folder)
    return 0
