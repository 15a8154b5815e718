"""The source `npz:FILE`: arrays of images and labels."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from .collection import TEST, TRAIN, VALIDATION, Collection, encode_labels
from .pixel_arrays import check_image_shape, to_rgb, to_uint8

# Names of images and labels in the file, and the split that they mean.
PAIRS = (
    ("x_train", "y_train", TRAIN),
    ("x", "y", TRAIN),
    ("images", "labels", TRAIN),
    ("x_val", "y_val", VALIDATION),
    ("x_validation", "y_validation", VALIDATION),
    ("x_test", "y_test", TEST),
)


def collect_npz(path: str) -> Collection:
    """Collects the images of a NumPy archive; they stay in memory.

    Images are `x_train` with labels `y_train`, or `x` and `y`, or `images`
    and `labels`; beside them there may be `x_val`, `y_val`, `x_test` and
    `y_test`. Nothing in the file is executed: pickled arrays are refused.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: when there is no such file.
        OSError: when it cannot be read.
        TypeError: when images or labels are of a wrong kind.
        ValueError: when it is damaged or pickled, lacks images or labels, or
            their shapes or values are wrong.
    """
    file = Path(path).expanduser()
    arrays = _read_arrays(file)
    pairs = _pairs(file, arrays)
    notes, stacks, originals, names, splits = [], [], [], [], []
    for images_name, labels_name, split in pairs:
        images, labels = arrays[images_name], arrays[labels_name]
        check_image_shape(images, images_name)
        pixels, note = to_uint8(images, images_name)
        stacks += list(pixels)
        originals.append(_flat_labels(labels, labels_name, len(images)))
        names += [f"{images_name}[{index}]" for index in range(len(images))]
        splits += [split] * len(images)
        notes += [note] if note else []
    labels, class_names = encode_labels(_joined(originals, pairs))
    return Collection(
        name=file.stem,
        class_names=class_names,
        labels=labels,
        names=names,
        splits=np.array(splits),
        content=lambda index: to_rgb(stacks[index]),
        encoded=False,
        notes=notes,
    )


def _read_arrays(file: Path) -> dict[str, np.ndarray]:
    """Reads the arrays that have a known name, without unpickling."""
    wanted = {name for pair in PAIRS for name in pair[:2]}
    if not file.exists():
        raise FileNotFoundError(
            f"load: there is no file '{file}'; check the path"
        )
    try:
        # Opened here: np.load leaves a damaged file open.
        with file.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            found = wanted.intersection(archive.files)
            return {name: _array(archive[name]) for name in found}
    except MemoryError as error:
        raise ValueError(
            f"load: the arrays of '{file}' do not fit into memory: keep the "
            "images as files in a folder, from which they are read one by one"
        ) from error
    except OSError as error:
        if error.errno is None:  # not from the system: damaged content
            raise _unreadable(file, error) from error
        raise type(error)(
            f"load: '{file}' cannot be read: {error.strerror}"
        ) from error
    except (
        AttributeError,  # a lone array, as np.save writes, has no names
        EOFError,
        NotImplementedError,
        SyntaxError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise _unreadable(file, error) from error


def _array(member: np.ndarray | bytes) -> np.ndarray:
    """Refuses members that are no arrays, which NumPy hands over as bytes."""
    if not isinstance(member, np.ndarray):
        raise TypeError("a member is not an array")
    return member


def _unreadable(file: Path, error: Exception) -> ValueError:
    return ValueError(
        f"load: '{file}' must be an .npz file of plain arrays, as np.savez "
        f"writes it; pickled objects are refused. Received: a file that is "
        f"not ({type(error).__name__})"
    )


def _pairs(
    file: Path, arrays: dict[str, np.ndarray]
) -> list[tuple[str, str, str]]:
    """Returns the pairs of images and labels that the file holds."""
    pairs = []
    for images, labels, split in PAIRS:
        if (images in arrays) != (labels in arrays):
            there, missing = sorted((images, labels), key=arrays.__contains__)[
                ::-1
            ]
            raise ValueError(
                f"load: '{file}' must hold `{missing}` to go with `{there}`"
            )
        if images in arrays:
            pairs.append((images, labels, split))
    if [split for *_, split in pairs].count(TRAIN) != 1:
        raise ValueError(
            f"load: '{file}' must hold one pair of x_train and y_train, x and "
            f"y, or images and labels. Received: {sorted(arrays) or 'neither'}"
        )
    return pairs


def _flat_labels(labels: np.ndarray, name: str, count: int) -> np.ndarray:
    """Checks labels of one split and returns them as `(n,)`."""
    if labels.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"load: `{name}` must have shape ({count},), one label for each "
            f"image and no one-hot rows. Received: {labels.shape}"
        )
    if labels.dtype.kind not in "iuUb":
        raise TypeError(
            f"load: `{name}` must hold whole numbers or strings. Received: "
            f"dtype {labels.dtype}"
        )
    return labels.reshape(-1)


def _joined(originals: list[np.ndarray], pairs: list) -> np.ndarray:
    if len({labels.dtype.kind == "U" for labels in originals}) > 1:
        names = ", ".join(labels for _, labels, _ in pairs)
        raise TypeError(
            f"load: {names} must all hold numbers or all hold strings"
        )
    return np.concatenate(originals)
