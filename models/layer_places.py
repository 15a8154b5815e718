"""Where layers stand: `layer`, or `inner/layer` in a model inside another."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

Shape = tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Place:
    """A layer or operation of a model, or of a model inside it.

    Attributes:
        address: The names of the models around it and its own, joined by "/".
        operation: The layer or operation.
        tensor: What its first call gives, symbolic, in the model that it is
            directly in; `None` where that is not one tensor of a graph.
        shape: Shape of `tensor` as the outermost model calls it.
        route: The calls of the models around it, the outermost first; `None`
            where a layer calls these models by itself, as `StochasticResidual`
            does, so that nothing else can read what is inside.
        is_leaf: Whether it is no model with places of its own.
    """

    address: str
    operation: Any
    tensor: Any
    shape: Shape
    route: tuple[Any, ...] | None
    is_leaf: bool

    @property
    def has_weights(self) -> bool:
        """Whether it is a layer with weights, and no model."""
        return self.is_leaf and bool(getattr(self.operation, "weights", ()))


def layer_places(model: "keras.Model") -> list[Place]:
    """The layers and operations of a model and of the models inside it.

    Args:
        model: Any built model. Only in functional and Sequential models is it
            known what a layer gives.

    Returns: The places in the order of the model, those inside an inner model
        before the place of this model itself.
    """
    return list(_walk(model, "", (), None))


def close_addresses(places: Sequence[Place], name: str) -> str:
    """Ends an error sentence with the addresses that may have been meant.

    Args:
        places: The places of a model.
        name: What was asked for.

    Returns: Such as `"; did you mean 'inner/conv'?"`, or nothing.
    """
    addresses = [place.address for place in places]
    close = [x for x in addresses if x.endswith(f"/{name}")]
    close = close or difflib.get_close_matches(name, addresses, cutoff=0.7)
    choice = " or ".join(map(repr, close[:3]))
    return f"; did you mean {choice}?" if close else ""


def _walk(model, prefix, route, given) -> Iterator[Place]:
    from dropzoo.models.functional_graph import Graph, has_graph, inner_models

    calls = Graph(model).calls if has_graph(model) else []
    shapes = _shapes(model, calls, given)
    # A layer may be called again; Keras's `layer.output` is the first too.
    first = {id(call.operation): call for call in reversed(calls)}
    for operation in getattr(model, "operations", model.layers):
        call = first.get(id(operation))
        parts = inner_models(operation)
        for part in parts:
            inside, inputs = None, None
            if part is operation and call is not None and route is not None:
                inside = (*route, call)
                inputs = [shapes[id(x)] for x in call.input_tensors]
            yield from _walk(part, f"{prefix}{operation.name}/", inside, inputs)
        tensor = _output(operation, call)
        yield Place(
            prefix + operation.name,
            operation,
            tensor,
            () if tensor is None else shapes[id(tensor)],
            route,
            is_leaf=not parts,
        )


def _output(operation: Any, call: Any) -> Any:
    """The one tensor that a call gives; of an input, the input itself."""
    import keras

    if isinstance(operation, keras.layers.InputLayer):
        return operation.output
    return call.outputs[0] if call and len(call.outputs) == 1 else None


def _shapes(model, calls, given) -> dict[int, Shape]:
    """Shapes of the tensors of a model by their `id`.

    Args:
        model: The model.
        calls: Its calls.
        given: Shapes of its inputs as the model around it calls it; `None`
            for those that it was built with.
    """
    import keras

    inputs = list(getattr(model, "inputs", None) or ())
    tensors = [tensor for call in calls for tensor in call.outputs]
    own = [tuple(tensor.shape) for tensor in inputs]
    if given is None or given == own or len(given) != len(own) or not tensors:
        return {id(x): tuple(x.shape) for x in (*inputs, *tensors)}
    # Built for any size, called at one: `Function` infers without new calls.
    specs = [
        keras.KerasTensor(shape, dtype=tensor.dtype)
        for shape, tensor in zip(given, inputs, strict=True)
    ]
    results = keras.Function(inputs, tensors).compute_output_spec(specs)
    inferred = {
        id(x): tuple(result.shape)
        for x, result in zip(tensors, results, strict=True)
    }
    return inferred | {
        id(x): shape for x, shape in zip(inputs, given, strict=True)
    }
