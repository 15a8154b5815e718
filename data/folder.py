"""The source `folder:PATH`: a sub-folder per class."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .collection import (
    TEST,
    TRAIN,
    VALIDATION,
    Collection,
    encode_labels,
    printable,
)
from .decoding import read_image_file
from .findings import Rejection, counted, join_names

# Kinds that are not read, such as HEIC, are listed so that they are counted
# as rejected images, not as files that have nothing to do with images.
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .gif .bmp .webp .tif .tiff .ppm .pgm "
    ".pbm .pnm .avif .jp2 .heic .heif .raw .dng .cr2 .nef .arw .psd".split()
)
SPLIT_FOLDERS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}


@dataclass(eq=False)
class _Found:
    """Image files below a folder, as they are met."""

    paths: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    empty: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def collect_folder(path: str) -> Collection:
    """Collects the image files of a folder, without opening them.

    Each sub-folder is a class; images at any depth below it belong to it.
    Above the classes there may be `train`, `val` (`valid`, `validation`,
    `dev`) and `test`: they are taken for splits where nothing else stands
    beside them, or where `train` stands beside another of them. Links are
    followed, each folder once per class; a class folder's second name is left
    out. Hidden files and files that are no images are ignored and counted.

    Args:
        path: The folder.

    Raises:
        FileNotFoundError: when there is no such folder.
        NotADirectoryError: when the path is not a folder.
        ValueError: when the folder holds no class folders or names a split
            twice.
    """
    root = _existing_folder(path)
    found = _Found()
    for split, folder in _split_folders(root, found):
        _collect_classes(root, split, folder, found)
    if not found.paths:
        raise ValueError(
            f"load: '{path}' must hold a sub-folder of images for each class. "
            f"Received: {_what_came_instead(found)}"
        )
    labels, class_names = encode_labels(found.classes)
    _warn_of_empty_classes(found)
    paths = found.paths
    return Collection(
        name=printable(root.resolve().name),
        class_names=class_names,
        labels=labels,
        names=[printable(path) for path in paths],
        splits=np.array(found.splits),
        content=lambda index: read_image_file(root / paths[index]),
        rejected=found.rejected,
        ignored=found.ignored,
        warnings=found.warnings,
    )


def _what_came_instead(found: _Found) -> str:
    if found.rejected:
        first = found.rejected[0]
        return f"'{first.name}', rejected because {first.reason}"
    if found.warnings:
        return found.warnings[0]
    return "no image file in any sub-folder"


def _existing_folder(path: str) -> Path:
    root = Path(path).expanduser()
    if not root.exists():
        raise FileNotFoundError(
            f"load: there is no folder '{path}'; check the path"
        )
    if not root.is_dir():
        raise NotADirectoryError(
            f"load: '{path}' must be a folder with a sub-folder for each "
            "class. Received: a file"
        )
    return root


def _split_folders(root: Path, found: _Found) -> list[tuple[str, str]]:
    """Returns (split, folder relative to the root), or the root alone."""
    listing = _Found()  # counted below, or with the classes
    names = _folders_in(root, "", listing)
    named = [name for name in names if name.lower() in SPLIT_FOLDERS]
    splits = [SPLIT_FOLDERS[name.lower()] for name in named]
    others = [name for name in names if name not in named]
    if not named or (others and TRAIN not in splits):
        return [(TRAIN, "")]
    if others and len(named) == 1:
        if len(others) == 1 or _folders_in(root, named[0], listing):
            found.warnings.append(
                f"'{named[0]}' is taken for a class, because beside it stands "
                f"{join_names(others)}: move that away if '{named[0]}' holds "
                "the classes"
            )
        return [(TRAIN, "")]
    if len(set(splits)) != len(splits):
        raise ValueError(
            f"load: '{root}' must name each split once. Received: "
            f"{join_names(named)}"
        )
    found.ignored += listing.ignored
    if others:
        found.warnings.append(
            f"ignored, because beside the splits: {join_names(others)}"
        )
    return list(zip(splits, named, strict=True))


def _collect_classes(
    root: Path, split: str, folder: str, found: _Found
) -> None:
    """Collects what is below one split's folder, class by class."""
    ancestors = {_identity(root), _identity(root / folder)}
    for class_name, class_folder in _class_folders(root, folder, found):
        paths = list(_images_below(root, class_folder, ancestors, found))
        if not paths:
            found.empty.append(printable(class_folder))
        found.paths += paths
        found.classes += [class_name] * len(paths)
        found.splits += [split] * len(paths)


def _class_folders(
    root: Path, folder: str, found: _Found
) -> Iterator[tuple[str, str]]:
    """Yields class names with their folders; each folder under one name."""
    names = _folders_in(root, folder, found, count_loose=True)
    read_as: dict[tuple[int, int], str] = {}
    # Of two names for one folder, the link is the second.
    for name in sorted(names, key=lambda n: (root / folder / n).is_symlink()):
        class_folder = f"{folder}/{name}" if folder else name
        class_name = printable(unicodedata.normalize("NFC", name))
        identity = _identity(root / class_folder)
        first = read_as.setdefault(identity, class_name)
        if first == class_name:
            yield class_name, class_folder
            continue
        found.warnings.append(
            f"'{printable(class_folder)}' is left out: it is another name of "
            f"the class folder '{first}'"
        )


def _folders_in(
    root: Path, folder: str, found: _Found, count_loose: bool = False
) -> list[str]:
    """Returns the names of the visible sub-folders, sorted."""
    folders, loose = [], 0
    for entry in _entries(root, folder, found):
        if _is_folder(entry):
            folders.append(entry.name)
        else:
            loose += _suffix(entry.name) in SUFFIXES
    if loose and count_loose:
        found.ignored["images outside any class folder"] += loose
        found.warnings.append(
            f"{counted(loose, 'image')} directly in "
            f"'{printable(folder) or root}', outside any class folder: ignored"
        )
    return folders


def _images_below(
    root: Path, class_folder: str, ancestors: set, found: _Found
) -> Iterator[str]:
    """Yields the paths of image files, relative to the root, in order."""
    seen = set(ancestors)
    waiting = [class_folder]
    while waiting:
        folder = waiting.pop()
        identity = _identity(root / folder)
        if identity in seen:
            reason = "it is a link to a folder that is read already"
            found.rejected.append(Rejection(printable(folder), reason))
            continue
        seen.add(identity)
        inner = []
        for entry in _entries(root, folder, found):
            if _is_folder(entry):
                inner.append(f"{folder}/{entry.name}")
            elif _suffix(entry.name) in SUFFIXES:
                yield f"{folder}/{entry.name}"
            else:
                kind = _suffix(entry.name) or "without a suffix"
                found.ignored[printable(kind)] += 1
        waiting.extend(reversed(inner))


def _entries(root: Path, folder: str, found: _Found) -> list[os.DirEntry]:
    """Lists a folder without its hidden entries, sorted by name."""
    try:
        with os.scandir(root / folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        reason = f"the folder cannot be listed: {error.strerror}"
        found.rejected.append(Rejection(printable(folder) or str(root), reason))
        return []
    visible = [entry for entry in entries if not _is_hidden(entry.name)]
    found.ignored["hidden"] += len(entries) - len(visible)
    return visible


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: reading it will say so
        return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _warn_of_empty_classes(found: _Found) -> None:
    if found.empty:
        found.warnings.append(
            f"class folders without any image are left out: "
            f"{join_names(found.empty)}"
        )
