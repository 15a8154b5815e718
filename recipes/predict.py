"""Names what is on photos.

    dropzoo predict RUN PHOTO...
    dropzoo predict RUN FOLDER --json

Takes photo files, and folders with their visible sub-folders, and shows the
most probable classes of each photo. A photo that cannot be used is told in one
sentence and left out; the exit status is then 2, and the others are shown all
the same. The saved model takes raw pixels: nothing has to be resized or
normalised before.

Paper: Guo et al., "On Calibration of Modern Neural Networks", 2017 (how far
the probabilities can be trusted; `dropzoo evaluate RUN` measures it). Hardware
and time: a CPU does; the network sees each photo once. Measured accuracy:
README.md, "What to expect".

The options worth changing: `--top-k`, `--json` (for other programs).
"""

import dataclasses
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from dropzoo.data.collection import printable
from dropzoo.recipes.options import complain, parse
from dropzoo.recipes.quiet_start import quiet_start
from dropzoo.recipes.run_folder import RunFolder

if TYPE_CHECKING:
    import numpy as np

BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of a prediction."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder that `dropzoo finetune` or `dropzoo train` has written."""
    files: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="FILE...", help_behavior_hint="(required)"),
    ]
    """Photos, or folders of them."""
    top_k: int = 5
    """Classes shown of each photo."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print JSON instead of a table."""

    def __post_init__(self) -> None:
        if not self.files:
            raise ValueError(
                "predict: `FILE` must name a photo or a folder of photos, "
                "behind the run's folder. Received: nothing"
            )
        if self.top_k < 1:
            raise ValueError(
                "predict: `top_k` must be at least 1. "
                f"Received: top_k={self.top_k!r}"
            )


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The most probable classes of one photo.

    Args:
        file: The photo.
        classes: Pairs of class and probability in [0, 1], the most probable
            first.
    """

    file: str
    classes: tuple[tuple[str, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """The same in types that JSON knows."""
        return {
            "file": self.file,
            "predictions": [
                {"class": name, "probability": probability}
                for name, probability in self.classes
            ],
        }


@dataclasses.dataclass(frozen=True)
class Failure:
    """A photo or folder that could not be used.

    Args:
        file: Its path as it was given or found.
        reason: Why, in words.
    """

    file: str
    reason: str

    def __str__(self) -> str:
        """The sentence that a person is told."""
        return printable(f"'{self.file}': {self.reason}")


@dataclasses.dataclass(frozen=True)
class Result:
    """What was predicted.

    Args:
        predictions: Of each photo that could be used, in the order given.
        failures: What could not.
    """

    predictions: tuple[Prediction, ...]
    failures: tuple[Failure, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same in types that JSON knows."""
        return {
            "photos": [photo.to_dict() for photo in self.predictions],
            "failures": list(map(dataclasses.asdict, self.failures)),
        }


def run(config: Config) -> Result:
    """Names what is on photos.

    Args:
        config: The options.

    Returns: The most probable classes of each photo, and what failed.

    Raises:
        FileNotFoundError: There is no run, or it was stopped too early.
        ValueError: A file of the run is damaged.
    """
    # Imported here: `dropzoo predict --help` needs no TensorFlow.
    import keras
    import numpy as np

    from dropzoo.recipes.steps import Steps
    from dropzoo.recipes.trained_run import TrainedRun

    trained = TrainedRun.open(config.run)
    # Photos differ in size: the saved model's own first layer brings each to
    # the network's, and they go through the rest of it in batches.
    resize = trained.model.get_layer("resizing")
    classify = keras.Model(resize.output, trained.model.output)

    files, failures = find_photos(config.files)
    predictions: list[Prediction] = []
    with Steps().bar("photos", len(files)) as bar:
        photos = _read(files, failures)
        while batch := list(itertools.islice(photos, BATCH_SIZE)):
            images = np.stack([resize(photo) for _, photo in batch])
            table = classify.predict_on_batch(images)  # (batch, classes)
            predictions += [
                Prediction(file, _best(row, trained.class_names, config.top_k))
                for (file, _), row in zip(batch, table, strict=True)
            ]
            bar.advance(len(batch))
    return Result(tuple(predictions), tuple(failures))


def find_photos(words: Sequence[str]) -> tuple[list[str], list[Failure]]:
    """Finds the photo files that files and folders stand for.

    Args:
        words: Files, which are taken as they are, and folders: of these the
            image files, at any depth, without hidden ones and without
            following links to folders.

    Returns: The files, in order; and the folders that cannot be read or have
        no image.
    """
    files: list[str] = []
    failures: list[Failure] = []
    for word in words:
        if not os.path.isdir(word):
            files.append(word)
            continue
        below = list(_images_below(word, failures))
        files += below
        if not below:
            failures.append(Failure(word, "there is no image in this folder"))
    return files, failures


def _images_below(folder: str, failures: list[Failure]) -> Iterator[str]:
    from dropzoo.data.folder import SUFFIXES

    def refuse(error: OSError) -> None:
        reason = f"the folder cannot be read: {error.strerror}"
        failures.append(Failure(str(error.filename), reason))

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in sorted(names):
            suffix = os.path.splitext(name)[1].lower()
            if name[0] != "." and suffix in SUFFIXES:
                yield os.path.join(parent, name)


def _read(
    files: Sequence[str], failures: list[Failure]
) -> Iterator[tuple[str, "np.ndarray"]]:
    """Decodes each file, `(height, width, 3)` uint8; notes what fails."""
    from dropzoo.data.decoding import ImageError, decode, read_image_file

    for file in files:
        try:
            pixels = decode(read_image_file(Path(file))).pixels
        except ImageError as error:
            failures.append(Failure(file, str(error)))
        else:
            yield file, pixels


def _best(
    probabilities: "np.ndarray", class_names: Sequence[str], top_k: int
) -> tuple[tuple[str, float], ...]:
    order = (-probabilities).argsort(kind="stable")[:top_k]
    return tuple((class_names[i], float(probabilities[i])) for i in order)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the recipe from the command line.

    Args:
        argv: Words of the command line after the verb. `None` reads
            `sys.argv[1:]`.

    Returns:
        The exit status: 0, or 2 where a photo could not be used.
    """
    prog = "dropzoo predict"
    config = parse(
        Config, argv, prog=prog, description="Name what is on photos."
    )
    RunFolder.open(config.run).model()  # refused before TensorFlow starts
    quiet_start()
    result = run(config)
    for failure in result.failures:
        complain(prog, str(failure))
    if config.json:
        print(json.dumps(result.to_dict(), indent=2))
    elif result.predictions:
        _print_table(result.predictions)
    return 2 if result.failures else 0


def _print_table(predictions: Sequence[Prediction]) -> None:
    from dropzoo.recipes.output_table import literal, new_table, print_table

    table = new_table("file", "class", ">probability")
    for prediction in predictions:
        file = printable(prediction.file)
        for name, probability in prediction.classes:
            table.add_row(literal(file), literal(name), f"{probability:.1%}")
            file = ""  # once for each photo
    print_table(table)
