"""Measures a fine-tuned model on labelled photos.

    dropzoo evaluate RUN
    dropzoo evaluate RUN --data folder:NEW_PHOTOS

Without `--data` the test photos of the run itself are measured again, and the
figures are those of its report. With `--data` other photos are measured: all
of them, or the test split where the source gives one. Classes are matched by
their names, and one is enough; photos of a class that the run does not know are
counted and left out. Naming the run's own source means its test split too: the
rest of it was learned from. Nothing is written into the run's folder.

Papers: Wilson, "Probable Inference, the Law of Succession, and Statistical
Inference", 1927 (the interval of the accuracy); Guo et al., "On Calibration of
Modern Neural Networks", 2017 (the calibration error). Hardware and time: a
CPU does; the network sees each photo once. Measured accuracy: README.md,
"What to expect".

The options worth changing: `--data`, `--split`, `--json` (every figure, for
other programs).
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from dropzoo.data.findings import Duplicate, Rejection, counted
from dropzoo.recipes.options import parse
from dropzoo.recipes.quiet_start import quiet_start
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.trained_on import read_trained_on

if TYPE_CHECKING:
    from dropzoo.evaluation import Metrics


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of a measurement."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder that `dropzoo finetune` or `dropzoo train` has written."""
    data: str | None = None
    """Other photos than the run's own, written as for `dropzoo finetune`."""
    data_dir: str | None = None
    """Where TensorFlow Datasets keeps its data sets."""
    split: Literal["train", "validation", "test"] | None = None
    """Which photos. Default: test; where others have no test split, all."""
    limit: int | None = None
    """Largest number of photos, drawn at random, for a quick look."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print every figure as JSON instead of tables."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(
                "evaluate: `limit` must be at least 1. "
                f"Received: limit={self.limit!r}"
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What a measurement came to.

    Args:
        metrics: The figures.
        measured_on: The photos, such as "the test split of groceries".
        unknown: Number of photos that were left out, by the name of their
            class, which the run does not know.
        rejected: Photos of the source that cannot be used.
        duplicates: Exact copies that were left out of the source.
        remarks: Sentences on what was left out and what is in doubt.
    """

    metrics: "Metrics"
    measured_on: str
    unknown: Mapping[str, int]
    rejected: tuple[Rejection, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything in types that JSON knows, the figures first."""
        fields = (f.name for f in dataclasses.fields(self))
        facts = {name: getattr(self, name) for name in fields}
        figures = facts.pop("metrics").to_dict()
        for name in ("rejected", "duplicates"):
            facts[name] = [dataclasses.asdict(entry) for entry in facts[name]]
        return {**figures, **facts}


def run(config: Config) -> Result:
    """Measures a run's model; progress goes to standard error.

    Args:
        config: The options.

    Returns: The figures.

    Raises:
        ValueError: An option breaks its rule, no photo has a class that the
            run knows, or a file of the run is damaged.
        OSError: Something is missing or cannot be read.
    """
    # Imported here: `dropzoo evaluate --help` needs no TensorFlow.
    import numpy as np

    from dropzoo.data.loading import locate
    from dropzoo.evaluation import evaluate_probabilities
    from dropzoo.recipes.measured_photos import other_photos, own_photos
    from dropzoo.recipes.scoring import log_probabilities
    from dropzoo.recipes.steps import Steps
    from dropzoo.recipes.trained_run import TrainedRun

    steps = Steps()
    with steps.step("Model"):
        trained = TrainedRun.open(config.run)
        trained_on = read_trained_on(trained.folder)

    with steps.step("Photos"), steps.bar("checking photos") as bar:
        own = locate(trained_on.data)
        if config.data is None or locate(config.data) == own:
            photos = own_photos(
                trained.folder,
                trained_on,
                trained.class_names,
                split=config.split,
                data_dir=config.data_dir,
                progress=bar.advance_to,
            )
        else:
            photos = other_photos(
                config.data,
                trained.class_names,
                split=config.split,
                data_dir=config.data_dir,
                progress=bar.advance_to,
            )
    examples = photos.examples
    if config.limit is not None and config.limit < len(examples):
        order = np.random.default_rng(0).permutation(len(examples))
        examples = examples.subset(np.sort(order[: config.limit]))
    steps.say(f"{counted(len(examples), 'photo')} of {photos.description}.")
    for remark in photos.remarks:
        steps.say(remark)

    with steps.step("Measure"), steps.bar("photos", len(examples)) as bar:
        # Resized by the pipeline and judged in batches, which gives what the
        # saved model gives, sooner.
        scores = log_probabilities(trained.network, examples, bar.advance)
    metrics = evaluate_probabilities(
        examples.labels, np.exp(scores), trained.class_names
    )
    return Result(
        metrics,
        photos.description,
        photos.unknown,
        photos.findings.rejected,
        photos.findings.duplicates,
        photos.remarks,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the recipe from the command line.

    Args:
        argv: Words of the command line after the verb. `None` reads
            `sys.argv[1:]`.

    Returns:
        0, the exit status.
    """
    config = parse(
        Config,
        argv,
        prog="dropzoo evaluate",
        description="Measure a fine-tuned model on labelled photos.",
    )
    RunFolder.open(config.run).model()  # refused before TensorFlow starts
    quiet_start()
    result = run(config)
    if config.json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        _print_tables(result)
    return 0


def _print_tables(result: Result) -> None:
    from dropzoo.recipes.output_table import literal, new_table, print_table

    metrics = result.metrics
    low, high = metrics.accuracy_interval
    facts = {
        "photos": f"{metrics.num_examples:,} of {result.measured_on}",
        "accuracy": f"{metrics.accuracy:.1%}",
        "95 % interval": f"{low:.1%} to {high:.1%}",
        "top-5 accuracy": _percent(metrics.top5_accuracy),
        "macro F1": f"{metrics.macro_f1:.1%}",
        "loss": f"{metrics.negative_log_likelihood:.3f}",
        "calibration error": f"{metrics.expected_calibration_error:.1%}",
    }
    summary = new_table("figure", "value")
    for name, value in facts.items():
        if value != "-":
            summary.add_row(name, literal(value))
    print_table(summary)
    print()
    classes = new_table("class", ">precision", ">recall", ">F1", ">photos")
    for scores in metrics.per_class:
        shares = map(_percent, (scores.precision, scores.recall, scores.f1))
        classes.add_row(literal(scores.name), *shares, f"{scores.support:,}")
    print_table(classes)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
