"""Exact duplicates: which copy stays, and which images contradict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .collection import SPLITS
from .findings import Duplicate, Rejection


@dataclass(frozen=True, eq=False)
class Deduplicated:
    """Which images stay when exact copies go.

    Args:
        kept: Positions that stay, in order, int64.
        duplicates: The copies that go.
        contradictions: All copies of images that bear several labels.
    """

    kept: np.ndarray
    duplicates: list[Duplicate]
    contradictions: list[Rejection]


def drop_duplicates(
    positions: Sequence[int],
    digests: Sequence[str],
    labels: np.ndarray,
    splits: np.ndarray,
    names: Sequence[str],
    class_names: Sequence[str],
) -> Deduplicated:
    """Keeps one copy of every image.

    A photo that is in training and in test flatters the test: the test copy
    stays, then the validation copy, then the training copy; within a split
    the first. An image under several labels teaches nothing: every copy goes.

    Args:
        positions: The images to look at, as positions in what follows.
        digests: Content digests of all images.
        labels: Class positions of all images.
        splits: "train", "validation" or "test" for all images.
        names: Names of all images.
        class_names: Names of the classes.
    """
    copies: dict[str, list[int]] = {}
    for position in positions:
        copies.setdefault(digests[position], []).append(position)
    kept: list[int] = []
    duplicates: list[Duplicate] = []
    contradictions: list[Rejection] = []
    for group in copies.values():
        classes = sorted({int(labels[position]) for position in group})
        if len(classes) > 1:
            listed = " and ".join(f"'{class_names[c]}'" for c in classes)
            reason = f"the same image is labelled {listed}"
            contradictions += [Rejection(names[i], reason) for i in group]
            continue
        best = max(group, key=lambda i: (SPLITS.index(splits[i]), -i))
        kept.append(best)
        duplicates += [
            Duplicate(names[i], str(splits[i]), names[best], str(splits[best]))
            for i in group
            if i != best
        ]
    order = np.sort(np.asarray(kept, dtype=np.int64))
    return Deduplicated(order, duplicates, contradictions)
