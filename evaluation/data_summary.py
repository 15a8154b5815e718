"""What was found in the data, as a report tells it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dropzoo.data import Findings


@dataclass(frozen=True)
class DataSummary:
    """What was found in the data.

    Attributes:
        warnings: Sentences on what a person should look into.
        lines: Sentences on what was done, such as what was dropped and why.
        facts: Names and values, such as the sizes of the images.
        counts: For each split its number of images of each class, in the
            order of the labels.
        rejected: Pairs of an image's name and why it was not used.
    """

    warnings: Sequence[str] = ()
    lines: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    rejected: Sequence[tuple[str, str]] = ()

    @classmethod
    def from_findings(cls, findings: Findings) -> "DataSummary":
        """Sums up what `dropzoo.data.load` found."""
        total = sum(map(sum, findings.counts.values()))
        made = ", ".join(findings.made_splits)
        return cls(
            warnings=findings.warnings,
            lines=[*_dropped(findings), *_changed(findings), *findings.notes],
            facts={
                "Source": findings.source,
                "Images used": total,
                "Width in pixels": str(findings.widths),
                "Height in pixels": str(findings.heights),
                "Exact copies dropped": len(findings.duplicates),
                "Rejected": len(findings.rejected),
                "Splits made here": made or "none, all were given",
            },
            counts=findings.counts,
            rejected=[(file.name, file.reason) for file in findings.rejected],
        )


def _dropped(findings: Findings) -> list[str]:
    places = Counter(
        (copy.split, copy.kept_split) for copy in findings.duplicates
    )
    return [
        f"{_images(count)} dropped from {split}: exact copies of images that "
        f"stay in {kept_split}"
        for (split, kept_split), count in places.items()
    ]


def _changed(findings: Findings) -> list[str]:
    ignored = [f"{count:,} {kind}" for kind, count in findings.ignored.items()]
    return [
        *(f"{_images(n)}: {what}" for what, n in findings.changes.items()),
        *([f"Files ignored: {', '.join(ignored)}"] if ignored else []),
    ]


def _images(count: int) -> str:
    return f"{count:,} image" + ("" if count == 1 else "s")
