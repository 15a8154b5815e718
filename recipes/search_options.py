"""Groups of options of a search, and the rules that they obey."""

import dataclasses

from dropzoo.models.catalogue import find_weights, model_info
from dropzoo.recipes.train_options import check_at_least_one
from dropzoo.search.ranges import Fixed
from dropzoo.search.search_space import SearchSpace
from dropzoo.search.space_words import read_space

# What benchmarks/search.py finds best for networks, and for heads on features.
NETWORK_STAGES, HEAD_STAGES = "random,random", "bayesian"
# Epochs of a trial in a stage, and in the last one.
NETWORK_EPOCHS, HEAD_EPOCHS = (1, 5), (5, 20)


@dataclasses.dataclass(frozen=True)
class Photos:
    """What is learned from."""

    data: str = "groceries"
    """Photos: groceries, digits, cifar10, folder:PATH, npz:FILE, csv:FILE,
    tfds:NAME, or just the path of a folder."""
    data_dir: str | None = None
    """Where TensorFlow Datasets keeps its data sets."""
    limit: int | None = None
    """Largest number of training photos, for a quick try."""


@dataclasses.dataclass(frozen=True)
class Looking:
    """Where to look, and how long."""

    model: str = "efficientnet_lite0"
    """Networks of the zoo, with commas between them."""
    weights: str = "imagenet"
    """Where they start: a tag that each of them has, a file, or `random`."""
    space: str = ""
    """Ranges in words, such as "peak_rate=1e-4..1e-2 freeze=all,none". What
    is left out has the default of docs/search.md."""
    stages: str | None = None
    """Kinds of search, each around the best of the one before it: random,
    grid, bayesian, hyperband. Default: random,random, or bayesian for heads
    on features."""
    trials: int = 40
    """Number of trials of all stages together."""
    epochs: str | None = None
    """Epochs of a trial in each stage, with commas between them. Default: 5
    in the last stage and 1 before it; 20 and 5 for heads on features."""
    refit_epochs: int | None = None
    """Epochs of the best model's last training. Default: those of the last
    stage."""
    batch_size: int = 32
    """Photos in a training step."""


@dataclasses.dataclass(frozen=True)
class Machines:
    """What it runs on."""

    workers: int = 1
    """Trials that run at once on this machine."""
    chief: str | None = None
    """HOST:PORT of the chief of a search that several machines share."""
    worker: bool = False
    """Whether this is one of its workers, which trains for the chief."""


def read_ranges(looking: Looking) -> SearchSpace:
    """The ranges that the options ask for.

    Args:
        looking: The options.

    Raises: ValueError or TypeError when they cannot be had.
    """
    names = looking.model.replace(" ", "").split(",")
    space = SearchSpace().changed(backbone=names)
    return read_space(looking.space, space)


def first_weights(looking: Looking) -> str | None:
    """What the networks start from, as `create_model` takes it.

    Args:
        looking: The options.
    """
    return None if looking.weights == "random" else looking.weights


def read_stages(
    looking: Looking, heads: bool
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The kind of each stage, and the epochs of its trials.

    Args:
        looking: The options.
        heads: Whether heads are searched on features.

    Raises: ValueError when epochs are no numbers, or not one for each stage.
    """
    kinds = looking.stages or (HEAD_STAGES if heads else NETWORK_STAGES)
    stages = tuple(kinds.replace(" ", "").split(","))
    if looking.epochs is None:
        usual = HEAD_EPOCHS if heads else NETWORK_EPOCHS
        before = usual[:1] * (len(stages) - 1)
        return stages, (*before, usual[-1])
    words = looking.epochs.replace(" ", "").split(",")
    if len(words) != len(stages) or not all(x.isdecimal() for x in words):
        raise ValueError(
            "search: `epochs` must be a whole number for each of "
            f"{', '.join(stages)}. Received: epochs={looking.epochs!r}"
        )
    return stages, tuple(map(int, words))


def searches_heads(space: SearchSpace, weights: str | None) -> bool:
    """Whether all trials share one frozen network, run once for all.

    Args:
        space: The ranges.
        weights: What networks start from.
    """
    shared = len(space["backbone"].ends) == 1
    one_size = isinstance(space["image_size"], Fixed)
    all_frozen = space["freeze"].ends == ("all",)
    return weights is not None and shared and one_size and all_frozen


def check_search(
    photos: Photos,
    looking: Looking,
    machines: Machines,
    *,
    seed: int,
    out: str | None,
) -> None:
    """Refuses options that break a rule.

    Args:
        photos: What is learned from.
        looking: Where to look.
        machines: What on.
        seed: Of everything random.
        out: Folder of the run.

    Raises:
        TypeError: A value of a range is of the wrong kind.
        ValueError: An option breaks its rule.
    """
    check_at_least_one(
        "search",
        limit=photos.limit,
        trials=looking.trials,
        refit_epochs=looking.refit_epochs,
        batch_size=looking.batch_size,
        workers=machines.workers,
    )
    if not 0 <= seed < 2**31:
        raise ValueError(
            f"search: `seed` must be in [0, 2**31). Received: seed={seed!r}"
        )
    if machines.worker and (machines.chief is None or out is None):
        raise ValueError(
            "search: `worker` needs the address of the `chief`, and its run's "
            "folder as `out`. Received: "
            f"chief={machines.chief!r}, out={out!r}"
        )
    space, weights = read_ranges(looking), first_weights(looking)
    for backbone in space["backbone"].ends:
        find_weights(model_info(str(backbone)), weights)
    read_stages(looking, searches_heads(space, weights))
