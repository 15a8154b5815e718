"""Says what can be grafted onto a network, and what was."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras

from dropzoo.layers import StochasticResidual
from dropzoo.models.depth_drops import is_depth_drop, rate_of
from dropzoo.models.depth_grafts import why_not_skipped
from dropzoo.models.dropconnect_grafts import (
    DROPS_CONNECTIONS,
    is_dense_on_vectors,
    layers_with_kernel,
)
from dropzoo.models.dropout_grafts import is_plain_dropout
from dropzoo.models.functional_graph import (
    Graph,
    check_has_graph,
    graphs,
    operations_in,
)
from dropzoo.models.map_drop_grafts import MAP_DROPS
from dropzoo.models.pooling_grafts import pooling_layers, pooling_of
from dropzoo.models.pooling_remarks import remark_on_pooling
from dropzoo.models.residual_additions import (
    ResidualAddition,
    find_residual_additions,
)

SETTLED = ("max", "average", "0")  # settings at which nothing is drawn
INFERENCE = "which changes inference too"


@dataclass(frozen=True)
class Grafted:
    """One stochastic layer of a network.

    Attributes:
        technique: Argument of `graft`.
        place: Name of the layer or operation that it acts on.
        layer: Name of the layer that does it.
        setting: Its rate, or its kind of pooling.
        remark: What else there is to know of it.
        before: What stood there in the original; empty where none was given.
    """

    technique: str
    place: str
    layer: str
    setting: str
    remark: str = ""
    before: str = ""

    def __str__(self) -> str:
        parts = [f"{self.technique} {self.setting} at {self.place}"]
        if self.layer != self.place:
            parts.append(f"by {self.layer}")
        if self.before:
            parts.append(f"before: {self.before}")
        if self.remark:
            parts.append(self.remark)
        return ", ".join(parts)


@dataclass(frozen=True)
class GraftReport:
    """What a network has, and has room for. Its `str` is a text.

    Attributes:
        model: Name of the model.
        residual_additions: Names of the additions that stochastic depth drops
            branches of.
        outer_additions: Names of those that it drops only if they are chosen,
            since there are residual additions in their branches.
        not_skipped: Names of residual additions that `skip=True` refuses, with
            the reason.
        pooling: Names of the pooling layers.
        dense: Names of the dense layers on vectors.
        kernels: Names of all layers with one kernel.
        grafted: The stochastic layers, in the order of the network.
    """

    model: str
    residual_additions: tuple[str, ...]
    outer_additions: tuple[str, ...]
    not_skipped: dict[str, str]
    pooling: tuple[str, ...]
    dense: tuple[str, ...]
    kernels: tuple[str, ...]
    grafted: tuple[Grafted, ...]

    def __str__(self) -> str:
        counts = (
            f"{self.model}: residual additions {len(self.residual_additions)}, "
            f"pooling layers {len(self.pooling)}, dense layers on vectors "
            f"{len(self.dense)}, layers with a kernel {len(self.kernels)}."
        )
        return "\n".join([counts, *(f"  {x}." for x in self.grafted)])


def graft_report(
    model: keras.Model, original: keras.Model | None = None
) -> GraftReport:
    """What can be grafted onto a network, and what stochastic layers it has.

    Args:
        model: A functional or Sequential model, grafted or not.
        original: The model that it was grafted from. With it, only what differs
            is listed, with what stood there before.

    Raises: TypeError when a model is of another kind.

    Example:
        >>> x = keras.Input((8,))
        >>> y = keras.layers.Dense(8, name="dense")(x)
        >>> model = keras.Model(x, keras.layers.Add(name="add")([x, y]))
        >>> graft_report(model).residual_additions
        ('add',)
    """
    check_has_graph(model, "graft_report")
    parts = graphs(model)
    additions = find_residual_additions(model)
    kernels = dict(layers_with_kernel(parts))
    stochastic = _stochastic(model, additions)
    if original is not None:
        grafted = tuple(_changes(stochastic, original))
    else:
        grafted = tuple(x for _, x in stochastic if x.setting not in SETTLED)
    return GraftReport(
        model=model.name,
        residual_additions=_names(x for x in additions if not x.inner),
        outer_additions=_names(x for x in additions if x.inner),
        not_skipped=_obstacles(additions),
        pooling=_names(pooling_layers(parts)),
        dense=_names(x for x in kernels if is_dense_on_vectors(x, kernels[x])),
        kernels=_names(kernels),
        grafted=grafted,
    )


def _names(things: Iterable[Any]) -> tuple[str, ...]:
    return tuple(thing.name for thing in things)


def _obstacles(additions: list[ResidualAddition]) -> dict[str, str]:
    reasons = {
        addition.name: why_not_skipped(addition)
        for addition in additions
        if not addition.is_skipping
    }
    return {name: reason for name, reason in reasons.items() if reason}


def _stochastic(
    model: keras.Model, additions: list[ResidualAddition]
) -> Iterator[tuple[keras.Layer, Grafted]]:
    """Layers with a technique and their entries, in the order of the calls."""
    places = {
        id(drop): addition.name
        for addition in additions
        for branch in addition.branches
        for drop in branch.drops
    }
    for graph in graphs(model):
        for call in graph.calls:
            layer, technique = call.operation, technique_of(call.operation)
            if technique is not None:
                place = places.get(id(layer)) or _place(technique, graph, call)
                entry = Grafted(technique, place, layer.name, _setting(layer))
                yield layer, replace(entry, remark=_remark(layer, call))


def technique_of(operation: Any) -> str | None:
    """The argument of `graft` that would have made a layer, if one would.

    Args:
        operation: A layer or operation.
    """
    if isinstance(operation, StochasticResidual) or is_depth_drop(operation):
        return "stochastic_depth"
    if isinstance(operation, DROPS_CONNECTIONS):
        return "dropconnect"
    if is_plain_dropout(operation):
        return "dropout"
    for technique, kind in MAP_DROPS.items():
        if isinstance(operation, kind):
            return technique
    return pooling_of(operation) and "pooling"


def _place(technique: str, graph: Graph, call: Any) -> str:
    """The layer or operation that a stochastic layer acts on."""
    if technique in MAP_DROPS:
        return call.input_tensors[0]._keras_history.operation.name
    if technique == "dropout":
        for reader in graph.readers(call.outputs[0]):
            return reader.operation.name
    return call.operation.name


def _setting(layer: keras.Layer) -> str:
    return pooling_of(layer) or f"{rate_of(layer):.4g}"


def _remark(layer: keras.Layer, call: Any) -> str:
    if isinstance(layer, StochasticResidual):
        return "skipped for a whole batch"
    return remark_on_pooling(layer, call) if pooling_of(layer) else ""


def _changes(
    stochastic: Iterable[tuple[keras.Layer, Grafted]], original: keras.Model
) -> Iterator[Grafted]:
    """Entries that the original has not, with what it has instead."""
    there = {operation.name: operation for operation in operations_in(original)}
    for layer, entry in stochastic:
        old = there.get(layer.name)
        before = "nothing" if old is None else _describe(old)
        if before == _describe(layer):
            continue
        remark = entry.remark
        if entry.technique == "pooling":
            remark = f"{INFERENCE}; {remark}" if remark else INFERENCE
        yield replace(entry, before=before, remark=remark)


def _describe(operation: Any) -> str:
    """Class and setting, such as "Dropout 0.2"."""
    kind = type(operation).__name__
    has_rate = technique_of(operation) not in (None, "pooling")
    return f"{kind} {rate_of(operation):.4g}" if has_rate else kind
