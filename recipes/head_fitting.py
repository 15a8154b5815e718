"""A head on what the frozen network sees, as recipes on photos begin."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from dropzoo.data import Examples, ImageData, concatenate
from dropzoo.evaluation import extract_features
from dropzoo.evaluation.folds import Folds, choose_folds
from dropzoo.evaluation.probe import Probe, fit_probe
from dropzoo.recipes.steps import Steps

if TYPE_CHECKING:
    import keras


class Options(Protocol):
    """What is read of a recipe's options."""

    @property
    def augmentation(self) -> str: ...
    @property
    def seed(self) -> int: ...


class FittedHead(NamedTuple):
    """A head on frozen features, and what it was fitted and judged on.

    Args:
        pool: All photos that may be learned from or judged on.
        folds: Which are for what.
        probe: The head, and how good it is.
        num_reused: Photos whose features had been computed before.
    """

    pool: Examples
    folds: Folds
    probe: Probe
    num_reused: int


def uses_flips(config: Options, data: ImageData) -> bool:
    """Whether training photos are mirrored at random.

    A mirror image keeps its label in photos, not in digits or in writing.

    Args:
        config: The options.
        data: The photos.
    """
    return data.flips_are_safe and config.augmentation != "none"


def fit_head(
    config: Options, data: ImageData, backbone: "keras.Model", steps: Steps
) -> FittedHead:
    """Fits a head on what the frozen network sees.

    That is computed once and kept, so that fitting takes seconds. Choices are
    made on held-out photos: the validation split where it is large enough,
    else k-fold over it and training.

    Args:
        config: The options.
        data: The photos.
        backbone: The network without its classifier.
        steps: Where progress is shown.
    """
    pool, folds = pool_photos(data, config.seed)
    with steps.bar("features", len(pool)) as bar:
        features = extract_features(
            backbone,
            pool,
            mirrored=uses_flips(config, data),
            progress=bar.advance,
        )
    probe = fit_probe(features, pool.labels, data.num_classes, folds)
    reused = len(pool) - features.num_computed
    return FittedHead(pool, folds, probe, reused)


def pool_photos(data: ImageData, seed: int) -> tuple[Examples, Folds]:
    """Training photos followed by validation photos, and what they are for.

    Args:
        data: The photos.
        seed: Of the folds.

    Raises: ValueError when no class has enough photos to judge on.
    """
    pool = concatenate([data.train, *filter(None, [data.validation])])
    held_out = pool.labels[len(data.train) :]
    return pool, choose_folds(data.train.labels, held_out, seed)
