"""The source `csv:FILE`: a table with the columns path and label."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .collection import TRAIN, Collection, encode_labels, printable
from .decoding import read_image_file
from .findings import Rejection
from .folder import SPLIT_FOLDERS

REQUIRED = ("path", "label")


def collect_csv(path: str) -> Collection:
    """Collects the image files that a table names, without opening them.

    The first line names the columns: `path`, relative to the table's folder
    or absolute, `label`, and where wanted `split` with train, val or test.
    Other columns are ignored. Labels that are all whole numbers are sorted by
    value, others as strings.

    Args:
        path: The file: UTF-8, comma-separated.

    Raises:
        FileNotFoundError: when there is no such file.
        OSError: when it cannot be read.
        ValueError: when it is not a table, lacks a column, names an unknown
            split or no image.
    """
    file = Path(path).expanduser()
    paths: list[str] = []
    originals: list[str] = []
    splits: list[str] = []
    rejected: list[Rejection] = []
    for line, row in _rows(file):
        image, label = (row[column] or "" for column in REQUIRED)
        if not image.strip() or not label.strip():
            missing = "label" if image.strip() else "path"
            name = printable(image) or f"line {line}"
            rejected.append(Rejection(name, f"the table gives no {missing}"))
            continue
        paths.append(image.strip())
        originals.append(label.strip())
        splits.append(_split(file, line, row.get("split", TRAIN)))
    if not paths:
        raise ValueError(
            f"load: '{file}' must name at least one image and its label below "
            "the column names. Received: none"
        )
    labels, class_names = encode_labels(_as_numbers(originals))
    return Collection(
        name=printable(file.stem),
        class_names=[printable(name) for name in class_names],
        labels=labels,
        names=[printable(image) for image in paths],
        splits=np.array(splits),
        content=lambda index: read_image_file(file.parent / paths[index]),
        rejected=rejected,
    )


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the line number and the columns of every row."""
    try:
        # "utf-8-sig": spreadsheets begin their files with a byte order mark.
        with file.open(encoding="utf-8-sig", newline="") as lines:
            table = csv.DictReader(lines, strict=True)
            _check_columns(file, table.fieldnames or [])
            for row in table:
                yield table.line_num, row
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"load: there is no file '{file}'; check the path"
        ) from error
    except OSError as error:
        raise type(error)(
            f"load: '{file}' cannot be read: {error.strerror}"
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(
            f"load: '{file}' must be a comma-separated table in UTF-8. "
            f"Received: {error}"
        ) from error


def _check_columns(file: Path, columns: Sequence[str]) -> None:
    missing = [column for column in REQUIRED if column not in columns]
    if missing:
        raise ValueError(
            f"load: '{file}' must have the columns path and label. "
            f"Received: {', '.join(map(printable, columns)) or 'none'}"
        )
    if len(set(columns)) != len(columns):
        raise ValueError(
            f"load: '{file}' must name each column once. Received: "
            f"{', '.join(map(printable, columns))}"
        )


def _split(file: Path, line: int, name: str | None) -> str:
    """Returns the split that a cell names."""
    split = SPLIT_FOLDERS.get((name or "").strip().lower())
    if split is None:
        raise ValueError(
            f"load: '{file}' line {line}: `split` must be one of "
            f"{', '.join(SPLIT_FOLDERS)}. Received: {name!r}"
        )
    return split


def _as_numbers(labels: list[str]) -> list[str] | np.ndarray:
    """Returns whole numbers as such, so that 10 comes after 9."""
    try:
        numbers = np.array([int(label) for label in labels], dtype=np.int64)
    except (ValueError, OverflowError):
        return labels
    same = all(str(n) == text for n, text in zip(numbers, labels, strict=True))
    return numbers if same else labels
