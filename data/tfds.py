"""The source `tfds:NAME`: a data set of TensorFlow Datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .collection import Collection, printable
from .decoding import ImageError
from .folder import SPLIT_FOLDERS
from .tfds_builder import first_line, image_and_label, prepared_builder
from .tfrecord import TFRecordFiles

UNLABELLED = -1  # what TensorFlow Datasets writes where a label is unknown


def collect_tfds(name: str, data_dir: str | None = None) -> Collection:
    """Collects a data set of TensorFlow Datasets, by random access.

    A data set that is not there yet is downloaded and prepared, in the file
    format that is its own default, so that `tfds.load` reads it too. Images
    stay on disk, encoded, and are read one at a time: from `tfrecord` files
    by an index of offsets, from `array_record` by `tfds.data_source`, and so
    from Parquet, which TensorFlow Datasets reads into memory.

    Split and class names are the data set's own; splits other than train,
    validation and test are left out, and so are images without a label.

    Args:
        name: As for `tfds.load`: "mnist", "name/config", "name:1.0.0".
        data_dir: Where data sets are kept. Defaults to TensorFlow Datasets'
            own choice.

    Raises:
        ValueError: when there is no such data set, it does not hold one image
            and one class label each, or its files are of another format.
        OSError: when it cannot be downloaded, prepared or read.
    """
    builder = prepared_builder(name, data_dir)
    image_key, label_key = image_and_label(builder.info)
    parts = [
        _Split(split, _records(builder, split), image_key, label_key)
        for split in _used_splits(builder)
    ]
    ends = np.cumsum([len(part.indices) for part in parts])

    def content(index: int) -> bytes:
        part = int(np.searchsorted(ends, index, side="right"))
        start = ends[part] - len(parts[part].indices)
        return parts[part].image(index - start)

    return Collection(
        name=builder.name,
        class_names=[
            printable(class_name)
            for class_name in builder.info.features[label_key].names
        ],
        labels=np.concatenate([part.labels for part in parts]),
        names=[name for part in parts for name in part.names()],
        splits=np.repeat(
            [SPLIT_FOLDERS[part.name.lower()] for part in parts],
            [len(part.indices) for part in parts],
        ),
        content=content,
        notes=_notes(builder, parts),
    )


class Records(Protocol):
    """Examples by position, images still encoded."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Mapping[str, Any]: ...


class _Split:
    """The labelled images of one split.

    Args:
        name: The data set's own name of the split.
        records: Its examples by position, images still encoded.
        image_key: The image's name in an example.
        label_key: The label's name in an example.
    """

    def __init__(
        self,
        name: str,
        records: Records,
        image_key: str,
        label_key: str,
    ) -> None:
        self.name = name
        self.records = records
        self.image_key = image_key
        labels = np.fromiter(
            (self._example(i)[label_key] for i in range(len(records))),
            dtype=np.int32,
            count=len(records),
        )
        self.indices = np.flatnonzero(labels != UNLABELLED)
        self.labels = labels[self.indices]

    def names(self) -> list[str]:
        """Returns what a person calls the labelled images."""
        return [f"{self.name}[{index}]" for index in self.indices]

    def image(self, position: int) -> bytes:
        """Returns one labelled image's encoded bytes."""
        return bytes(self._example(int(self.indices[position]))[self.image_key])

    def _example(self, index: int) -> Mapping[str, Any]:
        try:
            return self.records[index]
        except Exception as error:  # protobuf and each format have their own
            raise ImageError(
                f"{self.name}[{index}] cannot be read: {first_line(error)}"
            ) from error


class _TFRecordExamples:
    """Examples of TFRecord files by position, images still encoded."""

    def __init__(
        self, paths: Sequence[Path], features: Any, decoders: Any
    ) -> None:
        self.files = TFRecordFiles(paths)
        self.features = features
        self.decoders = decoders

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self.features.deserialize_example_np(
            self.files[index], decoders=self.decoders
        )


def _used_splits(builder: Any) -> list[str]:
    """Returns the names of the splits that are train, validation or test."""
    # Under `tfds.testing.mock_data` a builder may not know its splits.
    names = list(builder.info.splits) or ["train"]
    used = [name for name in names if name.lower() in SPLIT_FOLDERS]
    if not used:
        raise ValueError(
            f"load: 'tfds:{builder.name}' must have a split called train. "
            f"Received: {', '.join(names)}"
        )
    return used


def _records(builder: Any, split: str) -> Records:
    """Returns a split's examples by position, images still encoded."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    decoders = {
        key: tfds.decode.SkipDecoding()
        for key, kind in features.items()
        if isinstance(kind, tfds.features.Image)
    }
    try:
        return builder.as_data_source(split=split, decoders=decoders)
    except NotImplementedError:  # the file format has no random access
        file_format = builder.info.file_format.value
    if file_format != "tfrecord":
        raise ValueError(
            f"load: '{builder.data_path}' must be in the format array_record, "
            f"parquet or tfrecord: convert it with `tfds convert_format`. "
            f"Received: {file_format}"
        )
    paths = builder.info.splits[split].filepaths
    return _TFRecordExamples(paths, features, decoders)


def _notes(builder: Any, parts: Sequence[_Split]) -> list[str]:
    """Says what of the data set is not used."""
    used = {part.name for part in parts}
    others = [name for name in builder.info.splits if name not in used]
    notes = [f"splits that are not used: {', '.join(others)}"] if others else []
    for part in parts:
        unlabelled = len(part.records) - len(part.indices)
        if unlabelled:
            notes.append(
                f"{unlabelled:,} images of {part.name} have no label and are "
                "left out"
            )
    return notes
