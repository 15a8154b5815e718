"""What is to change in a network, by the identity of what it has."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import keras

from dropzoo.models.functional_graph import calls_between


@dataclass(frozen=True, eq=False)
class Cut:
    """A residual addition that becomes a `StochasticResidual`.

    Args:
        fork: The tensor that shortcut and branch come from.
        branch: The tensor that is added.
        shortcut: The tensor that it is added to.
        options: Further arguments of the `StochasticResidual`.
    """

    fork: Any
    branch: Any
    shortcut: Any
    options: dict[str, Any]

    @property
    def calls(self) -> set[Any]:
        """The calls that go into the `StochasticResidual`."""
        return set(calls_between([self.fork], [self.branch, self.shortcut]))


@dataclass
class Edits:
    """What is to change.

    Args:
        replaced: By `id` of a layer, the new one that takes its place and its
            weights.
        weights: By `id` of a replaced layer, weights instead of its own.
        removed: `id`s of layers that hand on what they are given.
        before: By call and `id` of a tensor that it reads, a new layer on the
            way of this tensor to this call.
        after: By `id` of a tensor, new layers behind it, in order.
        cuts: By the call of an addition, how it is cut out.
        inlined: `id`s of `StochasticResidual` layers that become an addition.
        options: By `id` of a `StochasticResidual`, arguments that change.
    """

    replaced: dict[int, keras.Layer] = field(default_factory=dict)
    weights: dict[int, list[Any]] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    before: dict[tuple[Any, int], keras.Layer] = field(default_factory=dict)
    after: defaultdict[int, list[keras.Layer]] = field(
        default_factory=lambda: defaultdict(list)
    )
    cuts: dict[Any, Cut] = field(default_factory=dict)
    inlined: set[int] = field(default_factory=set)
    options: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to change."""
        return not any(vars(self).values())
