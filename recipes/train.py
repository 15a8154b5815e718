"""Trains a network of the zoo from scratch, by a paper's own recipe.

    dropzoo train --paper stochastic-depth
    dropzoo train --paper stochastic-depth --budget 0.001 --data cifar10

Six steps: look at the data, plan the training, check that it can begin, train
and choose the best epoch on validation photos, measure once on test photos,
keep everything. A `--budget` shrinks epochs, photos and network, and says by
how much; without a `--paper` a plain recipe trains any network of the zoo on
any photos. With no options at all it trains a small ResNet on scikit-learn's
digits.

Papers: those of `papers.py`, with the figures they publish. docs/training.md
shows them in a table, and how a budget works. Hardware and time: a whole paper
wants a GPU and hours to days. `--paper stochastic-depth --budget 0.0005` took
13 minutes on two processor cores that had other work. Measured accuracy: there,
with one seed, an error of 49.9 % on CIFAR-10; at full size not yet measured.

The options worth changing: `--paper`, `--budget`, `--augmentation`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from dropzoo.recipes.interruption import interruptible
from dropzoo.recipes.open_run import open_run
from dropzoo.recipes.option_groups import flatten
from dropzoo.recipes.options import command, parse
from dropzoo.recipes.papers import NO_PAPER, PAPERS, PaperName
from dropzoo.recipes.quiet_start import announced_start
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.scratch_start import start_from_scratch
from dropzoo.recipes.train_options import (
    Machine,
    Photos,
    Training,
    check_options,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of a training from scratch."""

    paper: PaperName | None = None
    """Whose recipe. Default: a plain one, for any network."""
    budget: float = 1.0
    """Share of the published work to do: epochs, photos and network shrink."""
    photos: tyro.conf.OmitArgPrefixes[Photos] = Photos()
    """What is learned from."""
    training: tyro.conf.OmitArgPrefixes[Training] = Training()
    """How it is learned; what is left out is the paper's."""
    machine: tyro.conf.OmitArgPrefixes[Machine] = Machine()
    """What it runs on."""
    seed: int = 0
    """Seed of splits, weights, order, augmentation and dropping."""
    out: str | None = None
    """Folder of the run; it must not exist yet. Default: a new one in runs/."""
    resume: str | None = None
    """Folder of a stopped run to go on with; its own options hold."""

    def __post_init__(self) -> None:
        check_options(
            "train",
            self.photos,
            self.training,
            self.machine,
            budget=self.budget,
            seed=self.seed,
        )

    def decided(self) -> "Config":
        """The same, with the source of the photos filled in."""
        paper = PAPERS[self.paper] if self.paper else NO_PAPER
        data = self.photos.data or paper.data
        photos = dataclasses.replace(self.photos, data=data)
        return dataclasses.replace(self, photos=photos)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run came to.

    Args:
        folder: Where everything is kept.
        kept_epoch: The epoch whose weights are kept, from 1.
        accuracy: Of the kept model on the test photos, in [0, 1]; `None`
            without test photos.
        seconds: Of each step.
    """

    folder: Path
    kept_epoch: int
    accuracy: float | None
    seconds: dict[str, float]


def run(config: Config) -> Result:
    """Runs the six steps.

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
    """Opens the run's folder, with every decision among its options."""
    if config.resume is None:
        config = config.decided()
    source = Path((config.photos.data or "").split(":")[-1]).stem
    what = config.training.model or config.paper or NO_PAPER.model
    return open_run("train", config, f"{source}-{what}")


@interruptible()
def _run(config: Config, folder: RunFolder) -> Result:
    # Imported here: `dropzoo train --help` needs no TensorFlow.
    from dropzoo.recipes.keep_training import Story, measure_and_keep
    from dropzoo.recipes.training import ScratchTraining

    paper = PAPERS[config.paper] if config.paper else NO_PAPER
    steps, data, plan, training, _ = start_from_scratch(
        config,
        paper,
        folder,
        lambda plan, data: ScratchTraining(
            plan, data, config.seed, folder.state
        ),
    )

    with steps.step("Train"):
        trained = training.run(steps)
    steps.say(trained.sentence())

    metrics = measure_and_keep(
        folder,
        trained,
        Story(
            title=f"{plan.model} from scratch",
            model=plan.model,
            weights="trained from scratch",
            options={name: str(x) for name, x in plan.options.items()},
            after=plan.notes,
            decided={"plan": plan.to_dict()},
        ),
        data,
        steps,
        command=command("train", config),
        config=flatten(config),
    )
    steps.say(f"Report: {folder.path / 'report.html'}")
    return Result(
        folder=folder.path,
        kept_epoch=trained.kept_epoch,
        accuracy=metrics.accuracy if metrics else None,
        seconds=dict(steps.seconds),
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
        prog="dropzoo train",
        description="Train a network from scratch, by a paper's recipe.",
    )
    with _open(config) as (folder, options):  # a mistake is told at once
        announced_start()
        result = _run(options, folder)
    print(result.folder)
    return 0
