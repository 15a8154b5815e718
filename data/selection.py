"""From a checked collection to splits: what stays, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from .collection import SPLITS, TEST, TRAIN, VALIDATION, Collection
from .decode_check import DecodeCheck
from .decoding import ImageError, decode
from .duplicates import drop_duplicates
from .examples import Examples
from .findings import Duplicate, Findings, Rejection, Span, join_names
from .given_images import GivenImages
from .image_data import ImageData
from .splits import hold_out, limited

# Images at most this large on the shorter side are taken for digits, letters
# or icons, which mean something else in a mirror.
SMALL_SIDE = 64


class Selection:
    """The images of a collection that stay, by split, and the findings.

    Its methods are steps, to be taken in the order in which they stand.

    Args:
        source: The source as it was asked for, for messages.
        collection: All images.
        check: The verdict on each.
    """

    def __init__(
        self, source: str, collection: Collection, check: DecodeCheck
    ) -> None:
        self.source = source
        self.collection = collection
        self.check = check
        self.labels = collection.labels
        self.class_names = tuple(collection.class_names)
        self.rejected: list[Rejection] = list(collection.rejected)
        self.duplicates: list[Duplicate] = []
        self.notes: list[str] = list(collection.notes)
        self.warnings: list[str] = [*collection.warnings, *check.warnings]
        self.made_splits: list[str] = []
        self.given = set(np.unique(collection.splits))
        self.sizes = check.sizes[check.sizes[:, 0] > 0]
        self.positions: dict[str, np.ndarray] = {}

    def drop_unusable(self) -> None:
        """Drops rejected images, contradictions and exact duplicates.

        Raises:
            ValueError: when no image is left.
        """
        names, splits = self.collection.names, self.collection.splits
        reasons = self.check.reasons
        self.rejected += [Rejection(names[i], r) for i, r in reasons.items()]
        unique = drop_duplicates(
            [i for i in range(len(names)) if i not in reasons],
            self.check.digests,
            self.labels,
            splits,
            names,
            self.class_names,
        )
        self.duplicates = unique.duplicates
        self.rejected += unique.contradictions
        self.sizes = self.check.sizes[unique.kept]
        for split in SPLITS:
            of_split = splits[unique.kept] == split
            self.positions[split] = unique.kept[of_split]
        if not len(unique.kept):
            raise ValueError(
                f"load: '{self.source}' must hold usable images. "
                f"Received: none, {self._first_rejection()}"
            )

    def drop_untaught_classes(self) -> None:
        """Leaves out classes without a training image, and their images.

        Raises:
            ValueError: when no training image or fewer than two classes are
                left.
        """
        if not len(self.positions[TRAIN]):
            others = [split for split in SPLITS if len(self.positions[split])]
            cause = f"; {self._first_rejection()}" if self.rejected else ""
            raise ValueError(
                f"load: '{self.source}' must hold usable training images. "
                f"Received: images for {' and '.join(others)} only{cause}"
            )
        taught = np.unique(self.labels[self.positions[TRAIN]])
        for split in (VALIDATION, TEST):
            positions = self.positions[split]
            known = np.isin(self.labels[positions], taught)
            self.positions[split] = positions[known]
            self.rejected += [self._untaught(i) for i in positions[~known]]
        left_out = np.setdiff1d(np.arange(len(self.class_names)), taught)
        if len(left_out):
            listed = join_names(self.class_names[i] for i in left_out)
            self.warnings.append(
                f"classes without a usable training image are left out: "
                f"{listed}"
            )
        self.labels = np.searchsorted(taught, self.labels).astype(np.int32)
        self.class_names = tuple(self.class_names[i] for i in taught)
        if len(taught) < 2:
            causes = "".join(f"; {x}" for x in self.collection.warnings)
            raise ValueError(
                f"load: '{self.source}' must have at least 2 classes with "
                "usable images. "
                f"Received: 1, {join_names(self.class_names)}{causes}"
            )

    def make_splits(
        self, validation_share: float, test_share: float, seed: int
    ) -> None:
        """Holds the missing splits out from training."""
        singles = self._classes_with(1)
        if not len(self.positions[TEST]):
            self._hold_out(TEST, test_share, seed)
            if not len(self.positions[VALIDATION]):
                validation_share = validation_share / (1 - test_share)
        if not len(self.positions[VALIDATION]):
            self._hold_out(VALIDATION, validation_share, seed + 1)
        if singles:
            self.warnings.append(
                "classes with a single training image keep it for training: "
                f"{join_names(singles)}"
            )

    def cut(self, limit: int | None, seed: int) -> None:
        """Cuts training to a limit, and the other splits to its share.

        Raises:
            ValueError: when the limit is below the number of classes.
        """
        total = len(self.positions[TRAIN])
        if limit is None or limit >= total:
            return
        for split, positions in self.positions.items():
            labels = self.labels[positions]
            size = max(
                int(len(positions) * limit / total + 0.5),
                len(np.unique(labels)) if split != TRAIN else 0,
            )
            self.positions[split] = positions[limited(labels, size, seed)]
        self.notes.append(
            f"limited to {limit:,} of {total:,} training images, the other "
            "splits to the same share"
        )

    def given_images(self) -> GivenImages:
        """Builds the result of `load_given`."""
        parts = self._parts()
        return GivenImages(
            name=self.collection.name,
            class_names=self.class_names,
            splits=parts,
            findings=self._findings(parts),
        )

    def image_data(self) -> ImageData:
        """Builds the result of `load`."""
        parts = self._parts()
        self._warn_of_missing_classes(parts)
        shorter_side = np.median(self.sizes.min(axis=1))
        flips = self.collection.flips_are_safe
        return ImageData(
            name=self.collection.name,
            class_names=self.class_names,
            train=parts[TRAIN],
            validation=parts.get(VALIDATION),
            test=parts.get(TEST),
            findings=self._findings(parts),
            flips_are_safe=(
                bool(shorter_side > SMALL_SIDE) if flips is None else flips
            ),
        )

    def _parts(self) -> dict[str, Examples]:
        return {
            split: self._examples(positions)
            for split, positions in self.positions.items()
            if len(positions)
        }

    def _hold_out(self, split: str, share: float, seed: int) -> None:
        if split in self.given:
            self.warnings.append(f"the given {split} split has no usable image")
        train = self.positions[TRAIN]
        held_out = hold_out(self.labels[train], share, seed)
        if not len(held_out):
            self.notes.append(f"there is no {split} split")
            return
        self.positions[split] = train[held_out]
        self.positions[TRAIN] = np.delete(train, held_out)
        self.made_splits.append(split)
        self.notes.append(
            f"{split}: {len(held_out):,} of {len(train):,} training images "
            f"were held out, a share of every class (seed {seed})"
        )

    def _classes_with(self, count: int) -> list[str]:
        labels = self.labels[self.positions[TRAIN]]
        counts = np.bincount(labels, minlength=len(self.class_names))
        return [self.class_names[i] for i in np.flatnonzero(counts == count)]

    def _warn_of_missing_classes(self, parts: dict[str, Examples]) -> None:
        for split, part in parts.items():
            missing = set(range(len(self.class_names))) - set(part.labels)
            if missing:
                listed = join_names(
                    self.class_names[i] for i in sorted(missing)
                )
                self.warnings.append(
                    f"no image for {split} in {len(missing)} of "
                    f"{len(self.class_names)} classes: {listed}"
                )

    def _untaught(self, position: int) -> Rejection:
        class_name = self.class_names[self.labels[position]]
        return Rejection(
            self.collection.names[position],
            f"its class '{class_name}' has no training image",
        )

    def _first_rejection(self) -> str:
        if not self.rejected:
            return "it is empty"
        first = self.rejected[0]
        return (
            f"{len(self.rejected):,} rejected, first '{first.name}' because "
            f"{first.reason}"
        )

    def _examples(self, positions: np.ndarray) -> Examples:
        collection = self.collection
        names = [collection.names[i] for i in positions]
        return Examples(
            labels=self.labels[positions],
            names=names,
            digests=[self.check.digests[i] for i in positions],
            reader=partial(_read, collection.content, positions, names),
        )

    def _findings(self, parts: dict[str, Examples]) -> Findings:
        num_classes = len(self.class_names)
        heights, widths = self.sizes.T
        return Findings(
            source=self.source,
            class_names=self.class_names,
            counts={
                split: tuple(
                    np.bincount(part.labels, minlength=num_classes).tolist()
                )
                for split, part in parts.items()
            },
            heights=_span(heights),
            widths=_span(widths),
            made_splits=tuple(self.made_splits),
            rejected=tuple(self.rejected),
            duplicates=tuple(self.duplicates),
            ignored=dict(+self.collection.ignored),
            changes=dict(self.check.changes),
            notes=tuple(self.notes),
            warnings=tuple(self.warnings),
        )


def _read(
    content: Callable[[int], bytes | np.ndarray],
    positions: np.ndarray,
    names: list[str],
    index: int,
) -> np.ndarray:
    """Reads one image again: `(height, width, 3)` uint8 RGB."""
    try:
        image = content(int(positions[index]))
        return decode(image).pixels if isinstance(image, bytes) else image
    except ImageError as error:
        raise ImageError(f"'{names[index]}': {error}") from error


def _span(sizes: np.ndarray) -> Span:
    return Span(int(sizes.min()), int(np.median(sizes)), int(sizes.max()))
