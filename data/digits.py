"""The source `digits`: 1,797 handwritten digits of scikit-learn, 8x8."""

from __future__ import annotations

import numpy as np

from .collection import TRAIN, Collection


def collect_digits() -> Collection:
    """Collects scikit-learn's digits, whose 0..16 are scaled to 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return Collection(
        name="digits",
        class_names=[str(name) for name in digits.target_names],
        labels=digits.target.astype(np.int32),
        names=[f"digits[{index}]" for index in range(len(grey))],
        splits=np.full(len(grey), TRAIN),
        content=lambda index: np.stack([grey[index]] * 3, axis=-1),
        encoded=False,
    )
