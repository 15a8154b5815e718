"""Searches for the settings with which a network learns your photos best.

    dropzoo search --data folder:PHOTOS --space freeze=all
    dropzoo search --data folder:PHOTOS --trials 60 --epochs 2,8 --workers 2

Six steps: look at the data, say what is searched, search (many short trials
everywhere, then longer ones around the best), train the best again, measure
once on test photos, keep everything. Trials are judged on validation photos.
With `freeze=all` only heads are searched, on features that are computed once:
many trials in the time of one, judged by folds where photos are few.

Papers: Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization",
2012; Karpathy et al., CS231n course notes, "Hyperparameter optimization".
docs/search.md lists what can be searched. Hardware and time: minutes for heads
on two processor cores; whole networks want a GPU. Accuracy: docs/search.md.

The options worth changing: `--space`, `--trials`, `--epochs`.
"""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from dropzoo.recipes.interruption import interruptible
from dropzoo.recipes.open_run import open_run
from dropzoo.recipes.option_groups import flatten
from dropzoo.recipes.options import command, parse
from dropzoo.recipes.quiet_start import announced_start
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.search_options import (
    Looking,
    Machines,
    Photos,
    check_search,
    read_stages,
)
from dropzoo.search.shared_search import share_search

if TYPE_CHECKING:
    from dropzoo.recipes.searching import Subject
    from dropzoo.search import CoarseToFine

PROJECT = "search"  # folder of the trials, in that of the run


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of a search."""

    photos: tyro.conf.OmitArgPrefixes[Photos] = Photos()
    """What is learned from."""
    looking: tyro.conf.OmitArgPrefixes[Looking] = Looking()
    """Where to look, and how long."""
    machines: tyro.conf.OmitArgPrefixes[Machines] = Machines()
    """What it runs on."""
    seed: int = 0
    """Seed of splits, trials, weights, order, augmentation and dropping."""
    out: str | None = None
    """Folder of the run; it must not exist yet. Default: a new one in runs/."""
    resume: str | None = None
    """Folder of a stopped search to go on with; its own options hold."""

    def __post_init__(self) -> None:
        check_search(
            self.photos,
            self.looking,
            self.machines,
            seed=self.seed,
            out=self.out,
        )


@dataclasses.dataclass(frozen=True)
class Result:
    """What a search came to.

    Args:
        folder: Where everything is kept.
        settings: Of the best trial, by parameter.
        score: Its accuracy on the photos that judged, in [0, 1].
        accuracy: Of the kept model on the test photos, in [0, 1]; `None`
            without test photos.
        seconds: Of each step.
    """

    folder: Path
    settings: Mapping[str, Any]
    score: float
    accuracy: float | None
    seconds: dict[str, float]


def run(config: Config) -> Result | None:
    """Runs the six steps; a worker of a shared search only the first three.

    Args:
        config: The options.

    Returns: What came out; the rest is in the run's folder. `None` of a
        worker.

    Raises:
        ValueError: An option breaks its rule, or the data are not usable.
        OSError: Something cannot be read or written.
        RuntimeError: Every trial fails.
    """
    with _open(config) as (folder, options):
        return _run(options, folder)


def _open(config: Config):
    """Opens the run's folder; a worker goes into its chief's."""
    if config.machines.worker:
        folder = RunFolder(Path(str(config.out)), "search")
        return contextlib.nullcontext((folder, config))
    source = Path(config.photos.data.split(":")[-1]).stem
    what = config.looking.model.split(",")[0]
    return open_run("search", config, f"{source}-{what}-search")


def _run(config: Config, folder: RunFolder) -> Result | None:
    # Imported here: `dropzoo search --help` needs no TensorFlow.
    import keras

    from dropzoo.recipes.keep_training import Story, measure_and_keep
    from dropzoo.recipes.photo_loading import load_photos
    from dropzoo.recipes.searching import choose_subject
    from dropzoo.recipes.steps import Steps
    from dropzoo.search import write_search_report

    steps = Steps()
    steps.say(f"Run folder: {folder.path}")
    keras.utils.set_random_seed(config.seed)
    photos, looking = config.photos, config.looking
    data = load_photos(
        photos.data,
        steps,
        seed=config.seed,
        limit=photos.limit,
        data_dir=photos.data_dir,
    )
    if not config.machines.worker:
        folder.hold_to(data.digest())

    # What is fixed costs no trials: heads alone take no network at all.
    with steps.step("Prepare"):
        subject = choose_subject(looking, photos, data, config.seed, steps)

    with steps.step("Search"), _shared(config.machines):
        tuner = _tuner(config, subject, folder)
        with contextlib.redirect_stdout(sys.stderr):  # which has the result
            tuner.search(**subject.data)
    if config.machines.worker:
        steps.say("The search is over; its chief keeps what was found.")
        return None
    best = tuner.oracle.get_best_trials()[0]
    settings = subject.hypermodel.settings(best.hyperparameters)
    found = _sentence(tuner, settings, subject.judged_by)
    steps.say(found)
    report = write_search_report(
        folder.path / PROJECT,
        folder.path / "search.html",
        title=f"{data.name}: search",
        summary=[found],
    )
    steps.say(f"All trials: {report}")

    with steps.step("Train the best"), interruptible():
        epochs = looking.refit_epochs or tuner.oracle.epochs[-1]
        trained = subject.refit(
            best.hyperparameters, epochs, folder.state, steps
        )
    steps.say(trained.sentence())

    metrics = measure_and_keep(
        folder,
        trained,
        Story(
            title="the best of a search",
            model=settings.get("backbone", looking.model),
            weights=looking.weights,
            options=settings,
            before=found,
            rates="what is trained",
            decided={"settings": dict(settings)},
        ),
        data,
        steps,
        command=command("search", config),
        config=flatten(config),
    )
    steps.say(f"Report: {folder.path / 'report.html'}")
    return Result(
        folder=folder.path,
        settings=settings,
        score=float(best.score),
        accuracy=metrics.accuracy if metrics else None,
        seconds=dict(steps.seconds),
    )


def _tuner(
    config: Config, subject: "Subject", folder: RunFolder
) -> "CoarseToFine":
    from dropzoo.search import CoarseToFine

    stages, epochs = read_stages(config.looking, heads=subject.is_quick)
    return CoarseToFine(
        subject.hypermodel,
        "val_accuracy",
        max_trials=config.looking.trials,
        stages=stages,
        epochs=epochs,
        seed=config.seed,
        workers=1 if subject.is_quick else config.machines.workers,
        in_process=subject.is_quick,
        keep_best=0,  # the best is trained again
        checkpoint_seconds=None if subject.is_quick else 30.0,
        directory=folder.path,
        project_name=PROJECT,
    )


@contextlib.contextmanager
def _shared(machines: Machines) -> Iterator[None]:
    """Within the block, tuners take part in the search of the chief."""
    if machines.chief is None:
        yield
        return
    before = dict(os.environ)
    share_search(machines.chief, worker="" if machines.worker else None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _sentence(
    tuner: "CoarseToFine", settings: Mapping[str, Any], judged_by: str
) -> str:
    """What the search came to."""
    best = tuner.oracle.get_best_trials()[0]
    values = ", ".join(
        f"{name} {x:.3g}" if isinstance(x, float) else f"{name} {x}"
        for name, x in settings.items()
    )
    return (
        f"The best of {len(tuner.oracle.trials)} trials had {best.score:.1%} "
        f"of {judged_by} right: {values}."
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
        prog="dropzoo search",
        description="Search for the best settings of a training.",
    )
    with _open(config) as (folder, options):  # a mistake is told at once
        announced_start()
        result = _run(options, folder)
    if result is not None:
        print(result.folder)
    return 0
