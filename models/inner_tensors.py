"""Makes what is computed inside an inner model readable in the outer one."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import keras

from dropzoo.models.functional_graph import calls_between

# The calls of the models around a tensor, the outermost first, and the tensor.
Routed = tuple[tuple[Any, ...], Any]


def outer_tensors(model: keras.Model, wanted: Sequence[Routed]) -> list[Any]:
    """Tensors of a model for tensors of the models in it.

    An inner model in which something is wanted is stood in for by one of the
    same layers and the same name with more outputs. Layers behind it are called
    once more, on its outputs, so that nothing is computed twice. All layers
    are shared; no `layer.output` of the model changes.

    Args:
        model: A functional or Sequential model.
        wanted: Symbolic tensors at any depth in it, each with the calls of the
            models around it, the outermost first.

    Returns: One symbolic tensor for each, which the inputs of the model lead
        to.
    """
    inside = defaultdict(list)
    for route, tensor in wanted:
        if route:
            inside[route[0]].append((route[1:], tensor))
    ends = [tensor for route, tensor in wanted if not route]
    fed = [x for call in inside for x in call.input_tensors]
    calls = calls_between(model.inputs, [*ends, *fed])
    calls += [call for call in inside if call not in calls]
    read = {id(x) for call in calls for x in call.input_tensors}
    read |= {id(x) for x in ends}
    new: dict[int, Any] = {}  # by the `id` of the tensor that it stands for
    for call in calls:
        operation, outputs = call.operation, call.outputs
        if call in inside:
            outputs = outputs if read & {id(x) for x in outputs} else []
            operation = _exposing(call, inside[call], bool(outputs), calls)
            outputs = [*(tensor for _, tensor in inside[call]), *outputs]
        elif not any(id(x) in new for x in call.input_tensors):
            continue
        results = _call_again(operation, call, new)
        new |= zip(map(id, outputs), results, strict=True)
    return [new.get(id(tensor), tensor) for _, tensor in wanted]


def _exposing(call, wanted, keeps_outputs, calls) -> keras.Model:
    """The inner model of a call, with what is wanted as its outputs.

    Args:
        call: The call.
        wanted: Routes inside the inner model, and tensors.
        keeps_outputs: Whether its own outputs come too, behind the others.
        calls: All calls of the model around it.
    """
    model, name = call.operation, call.operation.name
    if keeps_outputs:
        wanted = [*wanted, *(((), tensor) for tensor in model.outputs)]
    if sum(other.operation is model for other in calls) > 1:
        name = f"{name}_features"  # as it stays there under its own name
    is_sequential = isinstance(model, keras.Sequential)
    entry = model.inputs[0] if is_sequential else model.input
    return keras.Model(entry, outer_tensors(model, wanted), name=name)


def _call_again(operation, call, new) -> list[Any]:
    """Calls an operation as a call did, on the tensors that are new."""

    def fill(x):
        return new.get(id(x), x)

    args = keras.tree.map_structure(fill, call.arguments.args)
    kwargs = keras.tree.map_structure(fill, call.arguments.kwargs)
    return keras.tree.flatten(operation(*args, **kwargs))
