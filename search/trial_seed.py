"""Gives every trial of a search a seed of its own."""

import json
from collections.abc import Mapping
from typing import Any

from dropzoo.models.seeds import layer_seed


def trial_seed(settings: Mapping[str, Any], seed: int) -> int:
    """A seed that follows from what a trial has drawn.

    Neither the number of the trial nor the process that runs it counts, so
    that the same settings give the same score in every search of that seed.

    Args:
        settings: The values of the trial's parameters, by name.
        seed: Of the search.

    Returns: An integer in [0, 2**31).

    Example:
        >>> trial_seed({"a": 1, "b": 2}, 0) == trial_seed({"b": 2, "a": 1}, 0)
        True
    """
    text = json.dumps(dict(settings), sort_keys=True)
    drawn = layer_seed(seed, text)
    return 0 if drawn is None else drawn
