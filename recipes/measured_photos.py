"""The photos that a run is measured on, under the run's labels."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dropzoo.data import Examples, Findings, ImageData, concatenate, load
from dropzoo.data.findings import counted, join_names
from dropzoo.data.given_images import GivenImages
from dropzoo.data.loading import load_given
from dropzoo.models.cache_folder import cache_folder

if TYPE_CHECKING:
    from dropzoo.recipes.run_folder import RunFolder
    from dropzoo.recipes.trained_on import TrainedOn

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredPhotos:
    """Photos, and what a person should know of them.

    Args:
        examples: The photos, under the run's labels.
        description: What they are, such as "the test split of groceries".
        unknown: Number of photos that were left out, by the name of their
            class, which the run does not know.
        findings: What was found in their source, other splits included.
        remarks: Sentences on what was left out and what is in doubt.
    """

    examples: Examples
    description: str
    unknown: Mapping[str, int]
    findings: Findings
    remarks: tuple[str, ...]


def own_photos(
    folder: "RunFolder",
    trained_on: "TrainedOn",
    known: Sequence[str],
    *,
    split: str | None = None,
    data_dir: str | None = None,
    progress: Progress | None = None,
) -> MeasuredPhotos:
    """Finds a split of a run's own photos again, by its seed and limit.

    Args:
        folder: The run.
        trained_on: What it was trained on.
        known: Its classes, in the order of its labels.
        split: `"train"`, `"validation"` or `"test"`. Defaults to test.
        data_dir: Where TensorFlow Datasets keeps its data sets. Defaults to
            the run's.
        progress: Called as `progress(photos checked, photos)`.

    Raises:
        ValueError: There is no such split, or the photos are not usable.
        OSError: The photos are not there any more.
    """
    data = load(
        trained_on.data,
        seed=trained_on.seed,
        limit=trained_on.limit,
        data_dir=data_dir or trained_on.data_dir,
        cache_dir=cache_folder("decoded"),
        progress=progress,
    )
    remarks = []
    if _have_changed(data, folder):
        remarks.append(
            "warning: the photos are not those of the run any more, so that "
            "its splits cannot be found again: it may have learned from these."
        )
    return _under_labels(data, split or "test", known, remarks)


def other_photos(
    source: str,
    known: Sequence[str],
    *,
    split: str | None = None,
    data_dir: str | None = None,
    progress: Progress | None = None,
) -> MeasuredPhotos:
    """Reads photos that a run has not learned from.

    Args:
        source: As `dropzoo.data.load` takes it; nothing is held out, and one
            class or one split is enough.
        known: The run's classes, in the order of its labels.
        split: `"train"`, `"validation"` or `"test"`. Defaults to the test
            split that the source gives, or to all photos without one.
        data_dir: Where TensorFlow Datasets keeps its data sets.
        progress: Called as `progress(photos checked, photos)`.

    Raises:
        ValueError: There is no such split, the photos are not usable, or none
            has a class that the run knows.
        OSError: The photos are not there.
    """
    data = load_given(
        source,
        data_dir=data_dir,
        cache_dir=cache_folder("decoded"),
        progress=progress,
    )
    default = "test" if "test" in data.splits else None
    return _under_labels(
        data, split or default, known, list(_left_out(data.findings))
    )


def match_classes(
    examples: Examples, class_names: Sequence[str], known: Sequence[str]
) -> tuple[Examples, dict[str, int]]:
    """Gives photos of one source the labels of a run, by class name.

    A class is its name: another source numbers its classes otherwise.

    Args:
        examples: The photos.
        class_names: Their classes, in the order of their labels.
        known: The classes of the run, in the order of its labels.

    Returns: The photos whose class the run knows, under the run's labels; and
        the number of the other photos by class.

    Raises: ValueError when the run knows none of the classes.
    """
    positions = {name: position for position, name in enumerate(known)}
    translation = [positions.get(name, -1) for name in class_names]
    labels = np.array(translation, "int32")[examples.labels]
    is_known = labels >= 0
    if not is_known.any():
        raise ValueError(
            "evaluate: `data` must hold photos of the run's classes, under "
            f"the same names ({join_names(known)}). Received: "
            f"{join_names(class_names)}"
        )
    counts = np.bincount(examples.labels[~is_known], minlength=len(class_names))
    unknown = dict(zip(class_names, counts.tolist(), strict=True))
    return (
        examples.with_labels(labels).subset(np.flatnonzero(is_known)),
        {name: count for name, count in unknown.items() if count},
    )


def _under_labels(
    data: ImageData | GivenImages,
    split: str | None,
    known: Sequence[str],
    remarks: list[str],
) -> MeasuredPhotos:
    """Chooses a split, or all photos, and gives it the run's labels."""
    if split is None:
        examples, description = concatenate(list(data.splits.values())), ""
    elif split in data.splits:
        examples, description = data.splits[split], f"the {split} split of "
    else:
        raise ValueError(
            f"evaluate: `split` must be one that {data.name} has "
            f"({', '.join(data.splits)}). Received: split={split!r}"
        )
    examples, unknown = match_classes(examples, data.class_names, known)
    if unknown:
        remarks.append(
            f"warning: {counted(sum(unknown.values()), 'photo')} left out, of "
            f"classes that the run does not know: {join_names(unknown)}."
        )
    return MeasuredPhotos(
        examples,
        description + data.name,
        unknown,
        data.findings,
        tuple(remarks),
    )


def _left_out(findings: Findings) -> Iterator[str]:
    if findings.rejected:
        first = findings.rejected[0]
        yield (
            f"warning: {counted(len(findings.rejected), 'photo')} cannot be "
            f"used; the first, '{first.name}', because {first.reason}."
        )
    if findings.duplicates:
        copies = len(findings.duplicates)
        yield f"{copies:,} exact cop{'y' if copies == 1 else 'ies'} left out."


def _have_changed(data: ImageData, folder: "RunFolder") -> bool:
    """Whether classes or counts are not those that the run found."""
    if not folder.finished:
        return False
    found, before = data.findings.to_dict(), folder.read_json("metrics.json")
    return any(
        found[key] != before["data"][key] for key in ("class_names", "counts")
    )
