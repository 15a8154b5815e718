"""Seeded, stratified choices: held-out splits and limited subsets."""

from __future__ import annotations

import numpy as np


def hold_out(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Chooses a share of every class to be held out.

    Of a class with n images, `share * n`, rounded, are held out, but at least
    one and at most n - 1; a class with a single image stays. The rule is per
    class because scikit-learn's `train_test_split(stratify=...)` refuses
    classes of one image and shares smaller than the number of classes, which
    somebody's own photos often have.

    Args:
        labels: Class positions, `(n,)`.
        share: Share to hold out, in [0, 1); 0 holds out nothing.
        seed: The same seed and labels give the same choice.

    Returns:
        Positions held out, increasing, int64.
    """
    rng = np.random.default_rng(seed)
    chosen = [np.empty(0, dtype=np.int64)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        quota = int(share * len(members) + 0.5)
        if share > 0:
            quota = min(max(quota, 1), len(members) - 1)
        chosen.append(members[:quota])
    return np.sort(np.concatenate(chosen))


def limited(labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Chooses a subset that keeps the proportions of the classes.

    Every class keeps at least one image; what remains of the limit is shared
    out by the classes' sizes, largest remainders first.

    Args:
        labels: Class positions, `(n,)`.
        limit: Number of images to keep, at least the number of classes.
        seed: The same seed and labels give the same choice.

    Returns:
        Positions kept, increasing, int64; all of them where the limit is not
        below n.

    Raises:
        ValueError: when the limit cannot give every class an image.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if limit < len(classes):
        raise ValueError(
            f"limited: `limit` must be at least {len(classes)}, one image for "
            f"each class. Received: limit={limit!r}"
        )
    if limit >= len(labels):
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    quotas = _quotas(counts, limit)
    chosen = [
        rng.permutation(np.flatnonzero(labels == label))[:quota]
        for label, quota in zip(classes, quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _quotas(counts: np.ndarray, limit: int) -> np.ndarray:
    """Shares `limit` out by size: one each, then by largest remainder."""
    extra = counts - 1
    ideal = extra * (limit - len(counts)) / max(extra.sum(), 1)
    quotas = 1 + ideal.astype(np.int64)
    remainders = ideal - np.floor(ideal)
    missing = limit - quotas.sum()
    quotas[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return quotas
