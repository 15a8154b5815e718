"""Reads the graph of a functional model: its calls and what they read.

Keras records every call of a layer, or of an operation such as `x + y`, on
symbolic tensors. A call has an `operation`, `arguments`, `input_tensors` and
`outputs`; a tensor knows the call that it came from.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from dropzoo.layers import StochasticResidual


def calls_between(inputs: Iterable[Any], outputs: Iterable[Any]) -> list[Any]:
    """Calls that lead from some tensors to others.

    Args:
        inputs: Symbolic tensors at which to stop.
        outputs: Symbolic tensors to be computed.

    Returns: The calls, each after those whose results it reads.
    """
    known = {id(tensor) for tensor in inputs}
    ordered: dict[Any, None] = {}
    stack = list(_calls_of(reversed(list(outputs)), known))
    while stack:  # Not recursive: networks are deeper than Python's stack.
        before = _calls_of(stack[-1].input_tensors, known)
        missing = next((call for call in before if call not in ordered), None)
        if missing is None:
            ordered[stack.pop()] = None
        else:
            stack.append(missing)
    return list(ordered)


def _calls_of(tensors: Iterable[Any], known: set[int]) -> Iterator[Any]:
    for tensor in tensors:
        operation, index, _ = tensor._keras_history
        if operation is not None and id(tensor) not in known:
            yield operation._inbound_nodes[index]


class Graph:
    """What a model computes, call by call.

    Attributes:
        model: The model.
        calls: Its calls, each after those whose results it reads.
        outputs: Its output tensors.

    Args:
        model: A functional or Sequential model.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        self.calls = calls_between(model.inputs, model.outputs)
        self.outputs = list(model.outputs)
        self._readers = defaultdict(list)
        self._above: dict[int, tuple[Any, int]] = {}
        for tensor in model.inputs:
            self._above[id(tensor)] = (None, 0)
        for call in self.calls:
            for tensor in call.input_tensors:
                self._readers[id(tensor)].append(call)
            above = self.fork(call.input_tensors)
            depth = 0 if above is None else self._above[id(above)][1] + 1
            for tensor in call.outputs:
                self._above[id(tensor)] = (above, depth)

    def readers(self, tensor: Any) -> list[Any]:
        """Calls that read a tensor.

        Args:
            tensor: A symbolic tensor of the model.
        """
        return self._readers[id(tensor)]

    def is_output(self, tensor: Any) -> bool:
        """Whether a tensor is among the outputs of the model.

        Args:
            tensor: A symbolic tensor of the model.
        """
        return any(tensor is output for output in self.outputs)

    def times_called(self) -> Counter:
        """How often each operation is called, by its `id`."""
        return Counter(id(call.operation) for call in self.calls)

    def fork(self, tensors: Iterable[Any]) -> Any:
        """The last tensor that lies on every route to all of some tensors.

        It is their nearest common dominator.

        Args:
            tensors: Symbolic tensors of the model.

        Returns: A tensor, one of `tensors` perhaps; `None` where there are
            routes that share nothing, as from different inputs.
        """
        known = [tensor for tensor in tensors if id(tensor) in self._above]
        fork = known[0] if known else None
        for tensor in known[1:]:
            fork = self._common(fork, tensor)
        return fork

    def _common(self, one: Any, other: Any) -> Any:
        while one is not other and one is not None and other is not None:
            (above_one, depth), (above_other, limit) = (
                self._above[id(one)],
                self._above[id(other)],
            )
            if depth >= limit:
                one = above_one
            else:
                other = above_other
        return one if one is other else None


def graphs(model: keras.Model) -> list[Graph]:
    """The graph of a model and those of the models in it, each once.

    Args:
        model: A functional or Sequential model.
    """
    found: dict[int, Graph] = {}

    def visit(model):
        if id(model) not in found:
            graph = found[id(model)] = Graph(model)
            for call in graph.calls:
                for inner in inner_models(call.operation):
                    visit(inner)

    visit(model)
    return list(found.values())


def operations_in(model: keras.Model) -> list[Any]:
    """Layers and operations of a model and of the models in it, each once.

    Args:
        model: A functional or Sequential model.
    """
    calls = (call for graph in graphs(model) for call in graph.calls)
    return list({id(call.operation): call.operation for call in calls}.values())


def inner_models(operation: Any) -> tuple[keras.Model, ...]:
    """The models inside an operation whose graphs can be read.

    Args:
        operation: A layer or operation.
    """
    if isinstance(operation, StochasticResidual):
        parts = (operation.branch, operation.shortcut)
        return tuple(part for part in parts if has_graph(part))
    return (operation,) if has_graph(operation) else ()


def has_graph(layer: Any) -> bool:
    """Whether all that a layer computes is a graph of calls.

    True of functional models and of Sequential models that are built, but for
    classes that compute something else in a `call` of their own.

    Args:
        layer: Any layer, operation or `None`.
    """
    if isinstance(layer, keras.Sequential):
        # Without an input, or with one of several tensors, it has no graph.
        is_connected = hasattr(layer, "inputs") and bool(layer.inputs)
        return is_connected and type(layer).call is keras.Sequential.call
    functional = functional_class(type(layer))
    return functional is not None and type(layer).call is functional.call


def functional_class(kind: type) -> Any:
    """Keras's class of functional models, where a class derives from it.

    Keras does not export it.

    Args:
        kind: Any class.

    Returns: The class, or `None`.
    """
    return next(
        (base for base in kind.__mro__ if keras.Function in base.__bases__),
        None,
    )


def check_has_graph(model: Any, verb: str) -> None:
    """Raises unless a model is functional or Sequential, of Keras's own class.

    Args:
        model: What a user gave.
        verb: The function that it was given to.
    """
    plain = (keras.Sequential, functional_class(type(model)))
    if not isinstance(model, keras.Model) or type(model) not in plain:
        raise TypeError(
            f"{verb}: `model` must be a functional or Sequential keras.Model, "
            "because what a class of its own computes is not in a graph. "
            f"Received: {type(model).__name__}; where the class only adds to a "
            "functional graph, pass keras.Model(model.inputs, model.outputs)."
        )
    if not has_graph(model):
        raise ValueError(
            f"{verb}: `model` must be built. Received: {model.name!r}, a "
            "Sequential model that has no keras.Input yet; call "
            "`model.build(input_shape)` first."
        )
