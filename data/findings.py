"""What was found in a source of images, for a person and for a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SHOWN = 5  # names listed before "and N more"
MANY = 20  # different reasons listed before the rest is summed up


@dataclass(frozen=True)
class Rejection:
    """An image that is not used.

    Args:
        name: What a person calls the image.
        reason: Why, in words that go on after "because".
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Duplicate:
    """A dropped exact copy of an image that is kept.

    Args:
        name: The copy that was dropped.
        split: The split that it was dropped from.
        kept: The copy that stays.
        kept_split: The split that holds it.
    """

    name: str
    split: str
    kept: str
    kept_split: str


@dataclass(frozen=True)
class Span:
    """Smallest, median and largest of some sizes, in pixels."""

    minimum: int
    median: int
    maximum: int

    def __str__(self) -> str:
        """Renders as "96 to 4032, median 348"."""
        if self.minimum == self.maximum:
            return str(self.minimum)
        return f"{self.minimum} to {self.maximum}, median {self.median}"


@dataclass(frozen=True)
class Findings:
    """What was found while a source was loaded.

    Args:
        source: The source as it was asked for.
        class_names: The classes in the order of their labels.
        counts: For each split its number of images of each class.
        heights: Heights of all usable images, before any limit.
        widths: Widths of all usable images, before any limit.
        made_splits: The splits that were made here; the others were given.
        rejected: Images that are not used, with the reason.
        duplicates: Exact copies that were dropped.
        ignored: Number of files that are no images, by kind.
        changes: Number of images of which decoding changed something, by
            kind of change.
        notes: What was decided, in sentences.
        warnings: What a person should look into, in sentences.
    """

    source: str
    class_names: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    heights: Span
    widths: Span
    made_splits: tuple[str, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Renders the findings as plain text, a line for each."""
        return [
            f"{self.source}: {len(self.class_names)} classes, "
            + ", ".join(self._split_texts()),
            f"image sizes: width {self.widths}; height {self.heights}",
            *self._class_lines(),
            *self._duplicate_lines(),
            *self._rejection_lines(),
            *(
                f"{counted(n, 'image')}: {what}"
                for what, n in self.changes.items()
            ),
            *self._ignored_lines(),
            *self.notes,
            *(f"warning: {warning}" for warning in self.warnings),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything in types that JSON knows."""
        return _as_json(asdict(self))

    def _split_texts(self) -> Iterable[str]:
        for split, counts in self.counts.items():
            origin = "made here" if split in self.made_splits else "given"
            if split == "train" and self.made_splits:
                origin = "the rest"
            yield f"{sum(counts):,} {split} ({origin})"

    def _class_lines(self) -> list[str]:
        if "train" not in self.counts:
            return []
        counts = self.counts["train"]
        fewest, most = min(counts), max(counts)
        if fewest == most:
            return [f"training images per class: {fewest:,}"]
        rarest = self.class_names[counts.index(fewest)]
        commonest = self.class_names[counts.index(most)]
        return [
            f"training images per class: {fewest:,} ('{rarest}') to "
            f"{most:,} ('{commonest}')"
        ]

    def _duplicate_lines(self) -> list[str]:
        places: dict[str, list[str]] = {}
        for copy in self.duplicates:
            stays = (
                "there"
                if copy.split == copy.kept_split
                else (f"in {copy.kept_split}")
            )
            place = f"dropped from {copy.split}, a copy stays {stays}"
            places.setdefault(place, []).append(copy.name)
        return [
            f"{counted(len(names), 'exact duplicate')} {place}: "
            + join_names(names)
            for place, names in places.items()
        ]

    def _rejection_lines(self) -> list[str]:
        reasons: dict[str, list[str]] = {}
        for rejection in self.rejected:
            reasons.setdefault(rejection.reason, []).append(rejection.name)
        lines = [
            f"{len(names):,} rejected because {reason}: {join_names(names)}"
            for reason, names in reasons.items()
        ]
        hidden = sum(map(len, list(reasons.values())[MANY:]))
        rest = [f"{hidden:,} more rejected for other reasons"] if hidden else []
        return lines[:MANY] + rest

    def _ignored_lines(self) -> list[str]:
        if not self.ignored:
            return []
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in self.ignored.items())
        total = sum(self.ignored.values())
        return [f"{counted(total, 'file')} ignored: {kinds}"]


def join_names(names: Iterable[str]) -> str:
    """Lists the first few names in a sentence, and says how many follow."""
    listed = list(names)
    rest = f" and {len(listed) - SHOWN:,} more" if len(listed) > SHOWN else ""
    return ", ".join(f"'{name}'" for name in listed[:SHOWN]) + rest


def counted(count: int, noun: str) -> str:
    """Returns "1 image" or "1,200 images"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value
