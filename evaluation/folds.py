"""Which images choices are made on."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedKFold

ENOUGH = 20  # validation images of a class on which a choice can rest
NUM_FOLDS = 2


@dataclass(frozen=True, eq=False)
class Folds:
    """What to learn from and what to judge on.

    Args:
        pairs: Pairs of positions: to learn from, and held out to judge on.
            One pair for a validation split, several for k-fold.
        learn: Positions that the final model may learn from.
    """

    pairs: tuple[tuple[np.ndarray, np.ndarray], ...]
    learn: np.ndarray

    @property
    def crossed(self) -> bool:
        """Whether choices are made by k-fold."""
        return len(self.pairs) > 1

    def held_out(self) -> np.ndarray:
        """Positions that are held out in one of the pairs, increasing."""
        return np.sort(np.concatenate([judge for _, judge in self.pairs]))


def choose_folds(
    train_labels: np.ndarray, validation_labels: np.ndarray, seed: int
) -> Folds:
    """Uses the validation split where it is large enough, else k-fold.

    Where every class has at least 20 validation images, they judge and the
    training images are learned from. Otherwise training and validation are
    pooled: stratified 2-fold over both judges, and the final model learns from
    both. A class with a single image is learned from in both folds and
    judged in none.

    Args:
        train_labels: Classes of the training images, `(n,)`.
        validation_labels: Classes of the validation images, `(m,)`; may be
            empty.
        seed: Seed of the folds.

    Returns: Positions in training followed by validation images.

    Raises: ValueError when no class has enough images to judge on.
    """
    labels = np.concatenate([train_labels, validation_labels])
    counts = np.bincount(
        validation_labels.astype(int), minlength=int(labels.max()) + 1
    )
    everything = np.arange(len(labels))
    if counts.min() >= ENOUGH:
        learn, judge = np.split(everything, [len(train_labels)])
        return Folds(((learn, judge),), learn)
    totals = np.bincount(labels)
    rare = everything[totals[labels] < NUM_FOLDS]
    common = np.setdiff1d(everything, rare)
    if not len(common):
        raise ValueError(
            f"choose_folds: at least one class must have {NUM_FOLDS} images "
            "for training and validation together. Received: no class with "
            "more than one"
        )
    splitter = StratifiedKFold(NUM_FOLDS, shuffle=True, random_state=seed)
    return Folds(
        tuple(
            (np.sort(np.append(common[learn], rare)), common[judge])
            for learn, judge in splitter.split(common, labels[common])
        ),
        everything,
    )
