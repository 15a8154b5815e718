"""The rules that the plan of a search obeys."""

from collections.abc import Sequence

from dropzoo.search.search_stage import KINDS


def check_plan(
    max_trials: int, stages: Sequence[str], epochs: Sequence[int], seed: int
) -> None:
    """Refuses arguments that make no plan.

    Args:
        max_trials: The most trials.
        stages: The kind of each stage.
        epochs: The number of epochs of a trial in each.
        seed: Of everything that is drawn.

    Raises: ValueError where one breaks its rule.
    """
    unknown = [kind for kind in stages if kind not in KINDS]
    if unknown or not stages or isinstance(stages, str):
        raise ValueError(
            "CoarseToFine: `stages` must be a sequence of "
            f"{', '.join(KINDS)}. Received: stages={stages!r}"
        )
    if len(epochs) != len(stages) or any(
        not isinstance(x, int) or x < 1 for x in epochs
    ):
        raise ValueError(
            "CoarseToFine: `epochs` must hold a number of at least 1 for each "
            f"of the {len(stages)} stages. Received: epochs={epochs!r}"
        )
    if not isinstance(max_trials, int) or max_trials < len(stages):
        raise ValueError(
            "CoarseToFine: `max_trials` must be an integer of at least 1 for "
            f"each of the {len(stages)} stages. "
            f"Received: max_trials={max_trials!r}"
        )
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(
            "CoarseToFine: `seed` must be an integer in [0, 2**32). "
            f"Received: seed={seed!r}"
        )


def check_counts(
    workers: int, trials_per_process: int, keep_best: int, in_process: bool
) -> None:
    """Refuses numbers of which there must be some.

    Args:
        workers: Number of trials that run at once.
        trials_per_process: After how many trials a process is replaced.
        keep_best: Number of trials whose weights are kept.
        in_process: Whether trials run in this process.

    Raises: ValueError where one breaks its rule.
    """
    counts = {
        "workers": (workers, 1),
        "trials_per_process": (trials_per_process, 1),
        "keep_best": (keep_best, 0),
    }
    for name, (count, least) in counts.items():
        if not isinstance(count, int) or count < least:
            raise ValueError(
                f"CoarseToFine: `{name}` must be an integer of at least "
                f"{least}. Received: {name}={count!r}"
            )
    if in_process and workers > 1:
        raise ValueError(
            "CoarseToFine: `workers` must be 1 with `in_process=True`, as one "
            f"process trains one network at a time. Received: workers={workers}"
        )
