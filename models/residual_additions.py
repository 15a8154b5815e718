"""Finds the residual additions of a network by its graph.

A residual addition adds tensors of one shape that come from one fork, the last
tensor that all routes to the addition pass:

- The *shortcut* is the one with the fewest layers with weights on its way from
  the fork, counted along the lightest way and then along the heaviest: none
  for an identity, one or two for a projection. Where two are equally light,
  neither is a shortcut, and the addition is none.
- The others are *branches*. What is computed on the way of a branch or of the
  shortcut is read on these ways and by the addition alone; otherwise dropping a
  branch would be felt elsewhere, or the shortcut be no mere shortcut.

Additions are `Add` layers, `x + y` on symbolic tensors, and the scaled sum of
Keras's InceptionResNetV2. Adding a constant, a bias or a table of positions is
no residual addition; concatenation and multiplication are none.
"""

import functools
from dataclasses import dataclass
from typing import Any

import keras

from dropzoo.layers import StochasticResidual
from dropzoo.models.depth_drops import is_depth_drop
from dropzoo.models.functional_graph import (
    Graph,
    calls_between,
    inner_models,
    operations_in,
)


@dataclass(frozen=True, eq=False)
class Branch:
    """What is added to a shortcut.

    Attributes:
        end: The tensor that is added.
        calls: The calls from the fork to it.
        drops: Layers among them that drop the whole branch already.
    """

    end: Any
    calls: tuple[Any, ...]
    drops: tuple[keras.Layer, ...]


@dataclass(frozen=True, eq=False)
class ResidualAddition:
    """A place where a branch is added to what it came from.

    Attributes:
        call: The call that adds.
        graph: The graph that it is part of.
        fork: The tensor that shortcut and branches come from.
        shortcut: The tensor that branches are added to.
        branches: What is added; none for a `StochasticResidual`, which has
            its branch inside.
        inner: Residual additions inside the branches.
    """

    call: Any
    graph: Graph
    fork: Any
    shortcut: Any
    branches: tuple[Branch, ...]
    inner: tuple["ResidualAddition", ...]

    @property
    def name(self) -> str:
        """Name of the layer or operation that adds."""
        return self.call.operation.name

    @property
    def is_skipping(self) -> bool:
        """Whether it is a `StochasticResidual`."""
        return isinstance(self.call.operation, StochasticResidual)

    @property
    def operations(self) -> list[Any]:
        """The addition and what its branches compute with."""
        inside = [x.operation for b in self.branches for x in b.calls]
        if self.is_skipping:
            for model in inner_models(self.call.operation):
                inside += operations_in(model)
        return [self.call.operation, *inside]


def find_residual_additions(model: keras.Model) -> list[ResidualAddition]:
    """The residual additions of a model and of the models in it.

    Args:
        model: A functional or Sequential model.

    Returns: Those nearer to the input first; an addition inside the branch of
        another comes before it.
    """
    return _search(model, set())


def _search(model: keras.Model, seen: set[int]) -> list[ResidualAddition]:
    graph, found = Graph(model), []
    inside: dict[Any, list[ResidualAddition]] = {}  # by call
    for call in graph.calls:
        inside[call] = []
        for inner in inner_models(call.operation):
            if id(inner) not in seen:
                seen.add(id(inner))
                inside[call] += _search(inner, seen)
        found += inside[call]
        addition = _recognise(graph, call, inside)
        if addition is not None:
            inside[call].append(addition)
            found.append(addition)
    return found


def _recognise(graph, call, inside) -> ResidualAddition | None:
    if isinstance(call.operation, StochasticResidual):
        x = call.input_tensors[0]
        return ResidualAddition(call, graph, x, x, (), tuple(inside[call]))
    tensors = call.input_tensors
    if not (is_addition(call.operation) and _are_alike(tensors)):
        return None
    fork = graph.fork(tensors)
    if fork is None:
        return None
    shortcut = _lightest(fork, tensors)
    if shortcut is None or not _may_drop(call, shortcut):
        return None
    ends = [tensor for tensor in tensors if tensor is not shortcut]
    parts = [calls_between([fork], [end]) for end in ends]
    ways = [*parts, calls_between([fork], [shortcut])]
    if any(map(_is_position, parts)) or not _are_private(graph, call, ways):
        return None
    inner = tuple(x for part in parts for c in part for x in inside[c])
    branches = tuple(
        Branch(end, tuple(part), _drops(part, inside))
        for end, part in zip(ends, parts, strict=True)
    )
    return ResidualAddition(call, graph, fork, shortcut, branches, inner)


def is_addition(operation: Any) -> bool:
    """Whether an operation adds tensors.

    Args:
        operation: A layer or operation.
    """
    kinds = (keras.layers.Add, _addition_operation())
    return type(operation) in kinds or scale_of(operation) is not None


def scale_of(operation: Any) -> float | None:
    """The factor on the second tensor in InceptionResNetV2's addition.

    Args:
        operation: A layer or operation; others have none.
    """
    is_scaled = type(operation).__name__ == "CustomScaleLayer"
    return getattr(operation, "scale", None) if is_scaled else None


@functools.cache
def _addition_operation() -> type:
    """The class of `x + y` on symbolic tensors, which Keras does not export."""
    x = keras.KerasTensor((1,))
    return type((x + x)._keras_history.operation)


def _are_alike(tensors) -> bool:
    """Several tensors, all different and of one shape."""
    several = len({id(tensor) for tensor in tensors}) == len(tensors) > 1
    return several and len({tuple(x.shape) for x in tensors}) == 1


def _may_drop(call, shortcut) -> bool:
    """Whether what is not the shortcut is what the addition scales."""
    if scale_of(call.operation) is None:
        return True
    return len(call.input_tensors) == 2 and shortcut is call.input_tensors[0]


def _lightest(fork, tensors) -> Any:
    """The one tensor with the fewest layers with weights since the fork."""
    weights = {id(fork): (0, 0)}
    for call in calls_between([fork], tensors):
        before = [
            weights[id(tensor)]
            for tensor in call.input_tensors
            if id(tensor) in weights
        ]
        own = weighted_layers(call.operation)
        light = min((least for least, _ in before), default=0) + own
        heavy = max((most for _, most in before), default=0) + own
        weights.update((id(tensor), (light, heavy)) for tensor in call.outputs)
    first, second, *_ = sorted(tensors, key=lambda x: weights[id(x)])
    return first if weights[id(first)] < weights[id(second)] else None


def weighted_layers(operation: Any) -> int:
    """How many layers with weights an operation is.

    Args:
        operation: A layer, a model or an operation.
    """
    if isinstance(operation, keras.Model):
        return sum(weighted_layers(layer) for layer in operation.layers)
    return int(isinstance(operation, keras.Layer) and bool(operation.weights))


def _is_position(calls) -> bool:
    """Whether all weights of a part are tables of positions."""
    names = [
        type(call.operation).__name__
        for call in calls
        if weighted_layers(call.operation)
    ]
    return all("Position" in name for name in names)


def _are_private(graph, addition, ways) -> bool:
    """Whether what some calls compute is read by them and an addition alone."""
    inside = {addition, *(call for way in ways for call in way)}
    return all(
        inside.issuperset(graph.readers(tensor)) and not graph.is_output(tensor)
        for call in inside - {addition}
        for tensor in call.outputs
    )


def _drops(calls, inside) -> tuple[keras.Layer, ...]:
    """Depth drops of a branch, but not those of branches inside it."""
    inner = {
        c
        for call in calls
        for addition in inside[call]
        for branch in addition.branches
        for c in branch.calls
    }
    operations = []
    for call in calls:
        if call not in inner and not inside[call]:
            operations.append(call.operation)
            for model in inner_models(call.operation):
                operations += operations_in(model)
    drops = {id(x): x for x in operations if is_depth_drop(x)}
    return tuple(drops.values())
