"""Trains a network once and keeps several, which vote.

    dropzoo snapshot --data cifar10 --model resnet20_cifar --epochs 60
    dropzoo snapshot --published --budget 0.001

The learning rate falls along half a cosine and starts again, several times in
one training. At the end of each cycle the network has settled somewhere else,
and a snapshot is taken; the average of what the snapshots say is better than
each of them. Seven steps: look at the data, plan, check that the training can
begin, train, choose on validation photos how many of the last snapshots to
keep, measure once on test photos, keep everything. With no options it trains a
small ResNet on scikit-learn's digits.

Paper: Huang et al., "Snapshot Ensembles: Train 1, Get M for Free", 2017.
Hardware and time: as long as one training of the same epochs, and M times the
time of one network afterwards; `--published` wants a GPU and hours. Measured
accuracy: docs/snapshot-ensembles.md.

The options worth changing: `--epochs`, `--cycles`, `--rate`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from dropzoo.recipes.interruption import interruptible
from dropzoo.recipes.open_run import open_run
from dropzoo.recipes.option_groups import flatten
from dropzoo.recipes.options import command, parse
from dropzoo.recipes.paper import Paper, named
from dropzoo.recipes.papers import NO_PAPER, SNAPSHOT
from dropzoo.recipes.quiet_start import announced_start
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.scratch_start import start_from_scratch
from dropzoo.recipes.train_options import (
    Machine,
    Photos,
    Training,
    check_at_least_one,
    check_options,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of a training in cycles."""

    cycles: int | None = None
    """Cycles of the learning rate, each of which ends in a snapshot. Default:
    5, or the paper's 6. Epochs must be a multiple of it."""
    keep: int | None = None
    """Largest number of snapshots, the last ones. Default: all."""
    single: tyro.conf.FlagCreatePairsOff[bool] = False
    """Train once more, equally long, in one cycle, to compare."""
    published: tyro.conf.FlagCreatePairsOff[bool] = False
    """Start from the paper's own network, photos and epochs."""
    budget: float = 1.0
    """Share of that work to do: epochs, photos and network shrink."""
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
            "snapshot",
            self.photos,
            self.training,
            self.machine,
            budget=self.budget,
            seed=self.seed,
        )
        check_at_least_one("snapshot", cycles=self.cycles, keep=self.keep)
        epochs, cycles = self.training.epochs, self.paper.cycles
        if epochs is not None and epochs % cycles:
            raise ValueError(
                f"snapshot: `epochs` must be a multiple of the {cycles} "
                "cycles, so that each ends with an epoch. "
                f"Received: epochs={epochs!r}"
            )

    @property
    def paper(self) -> Paper:
        """What the training starts from."""
        base = SNAPSHOT if self.published else IN_CYCLES
        return in_cycles(base, self.cycles or base.cycles)


def in_cycles(paper: Paper, cycles: int) -> Paper:
    """A paper's training whose rate falls and restarts.

    Args:
        paper: The training.
        cycles: How often; 1 never restarts.
    """
    return dataclasses.replace(
        paper,
        cycles=cycles,
        schedule=named("snapshot", cycles=cycles),
        schedule_text=f"{paper.rate:g}, falling along half a cosine in each "
        f"of {cycles} cycles",
    )


# Where nothing else is said, small enough for a CPU.
IN_CYCLES = in_cycles(
    dataclasses.replace(NO_PAPER, reference=SNAPSHOT.reference, rate=0.1), 5
)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run came to.

    Args:
        folder: Where everything is kept.
        num_kept: Number of snapshots in the kept model.
        accuracy: Of the kept model on the test photos, in [0, 1]; `None`
            without test photos.
        seconds: Of each step.
    """

    folder: Path
    num_kept: int
    accuracy: float | None
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
    """Opens the run's folder, with the source of the photos decided."""
    if config.resume is None:
        data = config.photos.data or config.paper.data
        photos = dataclasses.replace(config.photos, data=data)
        config = dataclasses.replace(config, photos=photos)
    source = Path((config.photos.data or "").split(":")[-1]).stem
    model = config.training.model or config.paper.model
    return open_run("snapshot", config, f"{source}-{model}-snapshots")


@interruptible()
def _run(config: Config, folder: RunFolder) -> Result:
    # Imported here: `dropzoo snapshot --help` needs no TensorFlow.
    from dropzoo.callbacks import SnapshotEnsemble
    from dropzoo.recipes.keep_ensemble import Outcome, keep_ensemble
    from dropzoo.recipes.snapshot_answers import Answers, Choice
    from dropzoo.recipes.snapshot_members import Members
    from dropzoo.recipes.training import ScratchTraining

    snapshots = SnapshotEnsemble(folder.state / "snapshots", keep=config.keep)
    steps, data, plan, training, steps_per_epoch = start_from_scratch(
        config,
        config.paper,
        folder,
        lambda plan, data: ScratchTraining(
            plan,
            data,
            config.seed,
            folder.state / "cycles",
            callbacks=lambda: [snapshots],
        ),
    )

    # The restarts are large enough to leave a minimum, and the cycles long
    # enough to reach another: networks that differ, for one training's cost.
    with steps.step("Train"):
        trained = training.run(steps)
    single = None
    if config.single:
        with steps.step("Train in one cycle"):
            single = ScratchTraining(
                dataclasses.replace(plan, paper=in_cycles(plan.paper, 1)),
                data,
                config.seed,
                folder.state / "single",
            ).run(steps)

    members = Members.of(trained.network, snapshots, steps_per_epoch)
    other = single and single.network
    with steps.step("Choose"):
        validation = Answers.collect(members, other, data.validation, steps)
        choice = Choice.of(members, validation)
    steps.say(choice.reason)

    with steps.step("Evaluate"):
        # The test photos are used here, once, after every choice is made.
        test = Answers.collect(members, other, data.test, steps)
    metrics = keep_ensemble(
        folder,
        Outcome(plan, trained, single, members, choice, validation, test),
        data,
        steps,
        command=command("snapshot", config),
        config=flatten(config),
    )
    steps.say(f"Report: {folder.path / 'report.html'}")
    return Result(
        folder=folder.path,
        num_kept=choice.number,
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
        prog="dropzoo snapshot",
        description="Train once in cycles; let their ends vote.",
    )
    with _open(config) as (folder, options):  # a mistake is told at once
        announced_start()
        result = _run(options, folder)
    print(result.folder)
    return 0
