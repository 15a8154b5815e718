"""From a source's name to checked, de-duplicated and split images."""

from __future__ import annotations

import difflib
import hashlib
import operator
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .collection import Collection
from .csv_table import collect_csv
from .decode_check import check_images
from .digits import collect_digits
from .folder import collect_folder
from .given_images import GivenImages
from .groceries import collect_groceries
from .idx import collect_idx
from .image_data import ImageData
from .keras_datasets import collect_cifar10, collect_fashion_mnist
from .npz import collect_npz
from .selection import Selection
from .tfds import collect_tfds


@dataclass(frozen=True)
class Source:
    """One kind of source, `NAME` or `NAME:ARGUMENT`.

    Args:
        collect: Collects the images; called with the argument, if any.
        argument: What stands after the colon; "" where nothing may.
        needs_data_dir: Whether `collect` takes a `data_dir` as well.
    """

    collect: Callable[..., Collection]
    argument: str = ""
    needs_data_dir: bool = False


SOURCES: dict[str, Source] = {
    "groceries": Source(collect_groceries),
    "digits": Source(collect_digits),
    "cifar10": Source(collect_cifar10),
    "fashion_mnist": Source(collect_fashion_mnist),
    "folder": Source(collect_folder, "PATH"),
    "npz": Source(collect_npz, "FILE"),
    "csv": Source(collect_csv, "FILE"),
    "idx": Source(collect_idx, "FOLDER"),
    "tfds": Source(collect_tfds, "NAME", needs_data_dir=True),
}


def load(
    source: str | os.PathLike[str],
    *,
    seed: int = 0,
    limit: int | None = None,
    validation_share: float = 0.15,
    test_share: float = 0.15,
    data_dir: str | None = None,
    cache_dir: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImageData:
    """Loads a source: checks every image, drops duplicates and splits.

    Splits that the source gives are kept as they are, but for images that
    cannot be used. A missing test split is held out from training, then a
    missing validation split; both are stratified, and `findings` says so. A
    class without a training image is left out.

    Args:
        source: "groceries", "digits", "cifar10", "fashion_mnist",
            "folder:PATH", "npz:FILE", "csv:FILE", "idx:FOLDER", "tfds:NAME",
            or the path of an existing folder.
        seed: Seed of the held-out splits and of the limit, at least 0.
        limit: Largest number of training images, stratified; validation and
            test are cut to the same share. Every class keeps an image.
            Defaults to all.
        validation_share: Share of all images (of the training images where a
            test split is given) to hold out for validation, in [0, 1).
        test_share: Share of all images to hold out for the test, in [0, 1);
            the two shares together must be below 1.
        data_dir: Where TensorFlow Datasets keeps its data sets. Defaults to
            its own choice; other sources ignore it.
        cache_dir: Where to remember which images decoded, so that a second
            run only hashes them. Defaults to remembering nothing.
        progress: Called as `progress(images checked, images)`.

    Returns:
        The images, with what was found.

    Raises:
        TypeError: when `source` is no text or path, or `seed` or `limit` no
            whole number.
        ValueError: when an argument breaks its rule, or the source has no
            usable image or only one class.
        OSError: when a file or folder does not exist or cannot be read.
        ModuleNotFoundError: when the source needs a package that is not
            installed.

    Example:
        >>> from dropzoo.data import load
        >>> data = load("digits", limit=100)
        >>> len(data.train), data.num_classes, data.train.read(0).shape
        (100, 10, (8, 8, 3))
    """
    source = _as_text(source)
    _check_arguments(seed, limit, validation_share, test_share)
    selection = _usable_images(source, data_dir, cache_dir, progress)
    selection.drop_untaught_classes()
    selection.make_splits(validation_share, test_share, seed)
    selection.cut(limit, seed)
    return selection.image_data()


def load_given(
    source: str | os.PathLike[str],
    *,
    data_dir: str | None = None,
    cache_dir: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GivenImages:
    """Loads a source as it is, to measure a model on it.

    As `load`, but nothing is held out, and neither a training split nor a
    second class is needed.

    Args:
        source: As `load` takes it.
        data_dir: As `load` takes it.
        cache_dir: As `load` takes it.
        progress: Called as `progress(images checked, images)`.

    Returns:
        The splits that the source gives, with what was found.

    Raises:
        TypeError: when `source` is no text or path.
        ValueError: when the source is written wrongly or has no usable image.
        OSError: when a file or folder does not exist or cannot be read.
        ModuleNotFoundError: when the source needs a package that is not
            installed.
    """
    source = _as_text(source)
    selection = _usable_images(source, data_dir, cache_dir, progress)
    return selection.given_images()


def locate(source: str) -> tuple[str, str]:
    """Tells what a source stands for, however it is written.

    Args:
        source: As `load` takes it.

    Returns:
        Its kind, and the path to which it leads, without links, `~` or `..`;
        for a source that is no path what stands after the colon.

    Example:
        >>> locate("folder:photos/../photos") == locate("./photos/")
        True
    """
    kind, _, argument = source.partition(":")
    if kind not in SOURCES:
        kind, argument = "folder", source
    if SOURCES[kind].argument in ("PATH", "FILE", "FOLDER"):
        argument = os.path.realpath(os.path.expanduser(argument))
    return kind, argument


def _usable_images(
    source: str,
    data_dir: str | None,
    cache_dir: str | Path | None,
    progress: Callable[[int, int], None] | None,
) -> Selection:
    """Collects the images of a source and drops those of no use."""
    collection = _collect(source, data_dir)
    check = check_images(
        collection.content,
        len(collection.labels),
        index_path=_index_path(source, cache_dir, collection),
        progress=progress,
    )
    selection = Selection(source, collection, check)
    selection.drop_unusable()
    return selection


def _as_text(source: str | os.PathLike[str]) -> str:
    text = os.fspath(source) if isinstance(source, os.PathLike) else source
    if not isinstance(text, str):
        raise TypeError(
            "load: `source` must be a string or a path. "
            f"Received: source={source!r}"
        )
    return text


def _check_arguments(
    seed: int, limit: int | None, validation_share: float, test_share: float
) -> None:
    numbers = {"seed": seed} | ({} if limit is None else {"limit": limit})
    for name, number in numbers.items():
        try:
            operator.index(number)
        except TypeError:
            raise TypeError(
                f"load: `{name}` must be a whole number. "
                f"Received: {name}={number!r}"
            ) from None
    if seed < 0:
        raise ValueError(
            f"load: `seed` must be at least 0. Received: seed={seed!r}"
        )
    if limit is not None and limit < 1:
        raise ValueError(
            "load: `limit` must be at least 1, or None for all images. "
            f"Received: limit={limit!r}"
        )
    shares = {"validation_share": validation_share, "test_share": test_share}
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(
                f"load: `{name}` must be in [0, 1). Received: {name}={share!r}"
            )
    if validation_share + test_share >= 1:
        raise ValueError(
            "load: `validation_share` and `test_share` must be below 1 "
            f"together. Received: {validation_share!r} and {test_share!r}"
        )


def _collect(source: str, data_dir: str | None) -> Collection:
    """Finds the kind of source and collects its images."""
    kind, colon, argument = source.partition(":")
    if kind not in SOURCES:
        if Path(source).expanduser().is_dir():
            return collect_folder(source)
        raise _unknown(source)
    wanted = SOURCES[kind].argument
    if bool(wanted) != bool(argument) or bool(wanted) != bool(colon):
        raise ValueError(
            f"load: this `source` must be written '{usage(kind)}'. "
            f"Received: source={source!r}"
        )
    if not wanted:
        return SOURCES[kind].collect()
    if SOURCES[kind].needs_data_dir:
        return SOURCES[kind].collect(argument, data_dir)
    return SOURCES[kind].collect(argument)


def usage(kind: str) -> str:
    """Returns how a kind of source is written: "npz:FILE"."""
    argument = SOURCES[kind].argument
    return f"{kind}:{argument}" if argument else kind


def _unknown(source: str) -> ValueError | OSError:
    """Builds the error for a source that is neither a kind nor a folder."""
    kind = source.partition(":")[0]
    path = Path(source).expanduser()
    if path.is_file():
        hint = " or ".join(
            usage(name) for name in SOURCES if SOURCES[name].argument == "FILE"
        )
        return NotADirectoryError(
            f"load: the `source` '{source}' is a file; write {hint}, or give "
            "a folder with a sub-folder for each class"
        )
    close = difflib.get_close_matches(kind.lower(), SOURCES, n=1)
    if not close and len(path.parts) > 1:
        return FileNotFoundError(
            f"load: there is no folder '{source}'; check the path"
        )
    hint = f"did you mean '{usage(close[0])}'? " if close else ""
    known = ", ".join(usage(name) for name in SOURCES)
    return ValueError(
        f"load: `source` must be one of {known} or an existing folder; {hint}"
        f"Received: source={source!r}"
    )


def _index_path(
    source: str, cache_dir: str | Path | None, collection: Collection
) -> Path | None:
    """Names the file that remembers what decoded, one for each source."""
    if cache_dir is None or not collection.encoded:
        return None
    digest = hashlib.sha256(source.encode("utf-8", "surrogateescape"))
    return Path(cache_dir) / f"decoded-{digest.hexdigest()[:16]}.json"
