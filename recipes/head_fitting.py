"""The start that recipes on photos share: the photos, and a head for them."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from dropzoo.data import Examples, ImageData, concatenate, load
from dropzoo.evaluation import extract_features
from dropzoo.evaluation.folds import Folds, choose_folds
from dropzoo.evaluation.probe import Probe, fit_probe
from dropzoo.models.cache_folder import cache_folder
from dropzoo.recipes.steps import Steps

if TYPE_CHECKING:
    import keras


class Options(Protocol):
    """What is read of a recipe's options."""

    @property
    def data(self) -> str: ...
    @property
    def data_dir(self) -> str | None: ...
    @property
    def augmentation(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def limit(self) -> int | None: ...


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


def load_photos(config: Options, steps: Steps) -> ImageData:
    """Loads and checks the photos, and says what was found.

    Every photo is decoded once: a damaged one is found now, not in the last
    epoch.

    Args:
        config: The options.
        steps: Where progress is shown.
    """
    with steps.step("Data"), steps.bar("checking photos") as bar:
        data = load(
            config.data,
            seed=config.seed,
            limit=config.limit,
            data_dir=config.data_dir,
            cache_dir=cache_folder("decoded"),
            progress=bar.advance_to,
        )
    for line in data.findings.lines():
        steps.say(line)
    return data


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
    pool = concatenate([data.train, *filter(None, [data.validation])])
    folds = choose_folds(
        data.train.labels, pool.labels[len(data.train) :], config.seed
    )
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
