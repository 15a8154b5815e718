"""What one source of labelled images gives, checked, and split no further."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .examples import Examples
from .findings import Findings


@dataclass(frozen=True, eq=False)
class GivenImages:
    """Labelled images to measure a model on, checked, without duplicates.

    Args:
        name: What a person calls the source.
        class_names: The classes in the order of their labels; one is enough.
        splits: The splits that the source gives, by name. A source without
            splits has "train" alone.
        findings: What was found while loading.
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[str, Examples]
    findings: Findings
