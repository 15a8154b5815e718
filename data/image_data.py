"""Everything that one source of labelled images holds, checked and split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from .examples import Examples
from .findings import Findings


@dataclass(frozen=True, eq=False)
class ImageData:
    """A source of labelled images, checked, without duplicates, and split.

    Args:
        name: What a person calls the source: "groceries", a folder's name.
        class_names: The classes in the order of their labels; each has at
            least one training image.
        train: Images to learn from.
        validation: Images to choose with; `None` where `load` was asked for
            a share of 0 and the source has none.
        test: Images to be used once, at the end; `None` as above.
        findings: What was found while loading.
        flips_are_safe: Whether a mirrored image may keep its label. Where the
            source does not say, true if the median image is larger than 64
            pixels on its shorter side, as photographs are; False for smaller
            ones, which are mostly digits, letters and icons. That is a guess
            from size alone: photographs of text should not be flipped either.
    """

    name: str
    class_names: tuple[str, ...]
    train: Examples
    validation: Examples | None
    test: Examples | None
    findings: Findings
    flips_are_safe: bool

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def splits(self) -> dict[str, Examples]:
        """The splits that exist, by name."""
        named = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
        }
        return {name: part for name, part in named.items() if part is not None}

    def digest(self) -> str:
        """SHA-256 in hexadecimal of classes, splits, labels and images."""
        digest = hashlib.sha256("\n".join(self.class_names).encode())
        for name, part in self.splits.items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(part.labels).tobytes())
            for image in part.digests:
                digest.update(str(image).encode())
        return digest.hexdigest()
