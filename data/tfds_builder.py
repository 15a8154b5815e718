"""Builders of TensorFlow Datasets: found, prepared and understood."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np


def prepared_builder(name: str, data_dir: str | None) -> Any:
    """Returns a data set's builder, with its files in place.

    A data set that is not there yet is downloaded and prepared in the file
    format that is its own default, so that `tfds.load` reads it too.

    Args:
        name: As for `tfds.load`.
        data_dir: Where data sets are kept; `None` for TensorFlow Datasets'
            own choice.

    Raises:
        ValueError: when there is no such data set, configuration or version.
        OSError: when it cannot be downloaded or prepared.
    """
    builder = _builder(name, data_dir)
    if builder.is_prepared():
        return builder
    try:
        builder.download_and_prepare()
    except Exception as error:
        # Each data set's own code runs here, and anybody's server answers.
        raise OSError(
            f"load: TensorFlow Datasets cannot download and prepare '{name}': "
            f"{first_line(error)}"
        ) from error
    return builder


def _builder(name: str, data_dir: str | None) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.DatasetNotFoundError:
        # Community data sets are listed on a server: not asked.
        names = tfds.list_builders(with_community_datasets=False)
        close = difflib.get_close_matches(name, names, n=3)
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        raise ValueError(
            f"load: TensorFlow Datasets knows no data set '{name}', and there "
            f"is none of that name in {data_dir or 'its folder'}.{hint}"
        ) from None
    except (
        AssertionError,  # an unknown version
        ImportError,
        OSError,
        RuntimeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"load: TensorFlow Datasets cannot build '{name}': "
            f"{first_line(error)}"
        ) from error


def image_and_label(info: Any) -> tuple[str, str]:
    """Returns what the image and its class label are called in an example.

    The data set's supervised keys decide, else it must have one of each.

    Args:
        info: The `DatasetInfo`.

    Raises:
        ValueError: when there is not exactly one image and one label, or the
            images have neither 8 nor 16 bits.
    """
    import tensorflow_datasets as tfds

    kinds = dict(info.features.items())
    supervised = [key for key in info.supervised_keys or () if key in kinds]
    keys = supervised if len(supervised) == 2 else kinds
    images = [key for key in keys if type(kinds[key]) is tfds.features.Image]
    labels = [
        key for key in keys if type(kinds[key]) is tfds.features.ClassLabel
    ]
    if len(images) != 1 or len(labels) != 1:
        received = ", ".join(
            f"{key} ({type(kind).__name__})" for key, kind in kinds.items()
        )
        raise ValueError(
            f"load: 'tfds:{info.name}' must hold one Image and one ClassLabel "
            f"for each example. Received: {received}"
        )
    dtype = np.dtype(kinds[images[0]].np_dtype)
    if dtype.kind != "u":
        raise ValueError(
            f"load: the images of 'tfds:{info.name}' must have 8 or 16 bits. "
            f"Received: {dtype}"
        )
    return images[0], labels[0]


def first_line(error: Exception) -> str:
    """Returns what an error says, without what follows on further lines."""
    return str(error).strip().split("\n")[0] or type(error).__name__
