"""The source `tfds:NAME`: a data set of TensorFlow Datasets."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .collection import Collection, printable
from .decoding import ImageError
from .folder import SPLIT_FOLDERS
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
    import tensorflow_datasets as tfds

    builder = _prepared(tfds, name, data_dir)
    image_key, label_key = _image_and_label(tfds, name, builder.info)
    parts = [
        _Split(split, _records(tfds, builder, split), image_key, label_key)
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
        records: Sequence[Mapping[str, Any]],
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
                f"{self.name}[{index}] cannot be read: {_first_line(error)}"
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


def _prepared(tfds: ModuleType, name: str, data_dir: str | None) -> Any:
    """Returns the data set's builder, its files in place."""
    try:
        builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.DatasetNotFoundError:
        close = difflib.get_close_matches(
            name, tfds.list_builders(with_community_datasets=False), n=3
        )
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        raise ValueError(
            f"load: TensorFlow Datasets knows no data set '{name}', and there "
            f"is none of that name in {data_dir or 'its folder'}.{hint}"
        ) from None
    except (AssertionError, ValueError, RuntimeError, OSError) as error:
        raise ValueError(
            f"load: TensorFlow Datasets cannot build '{name}': "
            f"{_first_line(error)}"
        ) from error
    if builder.is_prepared():
        return builder
    try:
        builder.download_and_prepare()
    except Exception as error:
        # Each data set's own code runs here, and anybody's server answers.
        raise OSError(
            f"load: TensorFlow Datasets cannot download and prepare '{name}': "
            f"{_first_line(error)}"
        ) from error
    return builder


def _image_and_label(tfds: ModuleType, name: str, info: Any) -> tuple[str, str]:
    """Returns the names of the one image and the one class label."""
    image_class, label_class = tfds.features.Image, tfds.features.ClassLabel
    kinds = dict(info.features.items())
    if info.supervised_keys and len(info.supervised_keys) == 2:
        keys = [key for key in info.supervised_keys if isinstance(key, str)]
        kinds = {key: kinds[key] for key in keys if key in kinds}
    images = [key for key, kind in kinds.items() if type(kind) is image_class]
    labels = [key for key, kind in kinds.items() if type(kind) is label_class]
    if len(images) != 1 or len(labels) != 1:
        received = ", ".join(
            f"{key} ({type(kind).__name__})"
            for key, kind in info.features.items()
        )
        raise ValueError(
            f"load: 'tfds:{name}' must hold one Image and one ClassLabel for "
            f"each example. Received: {received}"
        )
    if np.dtype(kinds[images[0]].np_dtype).kind != "u":
        raise ValueError(
            f"load: the images of 'tfds:{name}' must have 8 or 16 bits. "
            f"Received: {np.dtype(kinds[images[0]].np_dtype)}"
        )
    return images[0], labels[0]


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


def _records(
    tfds: ModuleType, builder: Any, split: str
) -> Sequence[Mapping[str, Any]]:
    """Returns a split's examples by position, images still encoded."""
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


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
