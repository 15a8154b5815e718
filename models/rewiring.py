"""Builds a functional model anew, with changes, beside the one there is.

Every layer is made again from its config and called again on new tensors, so
that the original keeps its layers, their calls and their `output`; then weights
and `trainable` flags are copied. What changes stands in `Edits`.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dropzoo.layers import StochasticResidual
from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import calls_between, has_graph
from dropzoo.models.layer_copies import copy_operation
from dropzoo.models.residual_additions import scale_of


def rewire(model: keras.Model, edits: Edits) -> keras.Model:
    """A new functional model that differs from another by some edits.

    Args:
        model: A functional or Sequential model.
        edits: What is to change in it or in the models in it.

    Returns: An independent functional model, not compiled, with the names of
        the original's layers, their weights and their `trainable` flags. The
        models in it are functional models too.

    Raises: ValueError when a layer does not come back from its config.
    """
    rewiring = _Rewiring(edits)
    copy = rewiring.build(model)
    rewiring.copy_state()
    return copy


def rewire_behind(
    model: keras.Model, tensor: Any, route: Sequence[Any], edits: Edits
) -> keras.Model:
    """What a model computes from a tensor inside it on, as a model anew.

    Args:
        model: A functional or Sequential model of one output, all of which is
            computed from the tensor.
        tensor: Symbolic, in the model or in a model inside it, which then is
            called once and gives one output.
        route: The calls of the models around the tensor, the outermost first.
        edits: What is to change behind the tensor.

    Returns: As `rewire`, on what takes the place of the tensor.
    """
    rewiring = _Rewiring(edits)
    copy = rewiring.build_behind(model, tensor, route)
    rewiring.copy_state()
    return copy


class _Rewiring:
    """One run over a model: the copies made so far, and whose they are."""

    def __init__(self, edits: Edits):
        self.edits = edits
        self.copies: dict[int, Any] = {}
        self.layers: list[tuple[keras.Layer, keras.Layer]] = []
        self.containers: list[tuple[keras.Layer, keras.Layer]] = []
        self.names: set[str] = set()  # in the model that is being built

    def build(self, model: keras.Model) -> keras.Model:
        """Builds a functional or Sequential model anew."""
        calls = calls_between(model.inputs, model.outputs)
        outside, self.names = self.names, {x.operation.name for x in calls}
        tensors = {id(x): _copy_input(x) for x in model.inputs}
        self._run(calls, tensors)
        self.names = outside

        def fill(tensor):
            return tensors[id(tensor)]

        copy = keras.Model(
            *(keras.tree.map_structure(fill, ends) for ends in _ends(model)),
            name=model.name,
        )
        self.containers.append((model, copy))
        return copy

    def build_behind(self, model, tensor, route) -> keras.Model:
        """Builds a model anew from a tensor on, in it or in one inside."""
        name = model.inputs[0]._keras_history.operation.name
        entry = new = keras.Input(
            batch_shape=tensor.shape, dtype=tensor.dtype, name=name
        )
        if route:
            outer, *route = route
            inner = self.build_behind(outer.operation, tensor, route)
            (tensor,) = outer.outputs
            new = inner(entry, **_keywords(outer))
        calls, tensors = (
            calls_between([tensor], model.outputs),
            {id(tensor): new},
        )
        outside, self.names = self.names, {x.operation.name for x in calls}
        self._run(calls, tensors)
        self.names = outside
        outputs = tensors[id(model.outputs[0])]
        copy = keras.Model(entry, outputs, name=model.name)
        self.containers.append((model, copy))
        return copy

    def copy_state(self) -> None:
        """Copies weights and `trainable` flags, once all is built."""
        for old, new in self.layers:
            _copy_weights(old, new, self.edits.weights.get(id(old)))
        for old, new in reversed(self.containers):  # the outer ones first
            new.trainable = old.trainable
        for old, new in self.layers:
            _copy_flags(old, new)

    def _run(self, calls, tensors) -> None:
        """Makes calls again; `tensors` maps old ones to new ones."""
        cuts = self.edits.cuts
        hidden = {x for call in calls if call in cuts for x in cuts[call].calls}
        for call in calls:
            if call in hidden:
                continue
            outputs = keras.tree.flatten(self._call(call, tensors))
            for old, new in zip(call.outputs, outputs, strict=True):
                for layer in self.edits.after.get(id(old), ()):
                    new = layer(new)
                tensors[id(old)] = new

    def _call(self, call, tensors) -> Any:
        if call in self.edits.cuts:
            return self._cut(call, tensors)

        def fill(x):
            if not isinstance(x, keras.KerasTensor):
                return x
            between = self.edits.before.get((call, id(x)))
            new = tensors.get(id(x))  # Keras makes a missing mask again
            return new if between is None else between(new)

        operation = call.operation
        if id(operation) in self.edits.removed:
            return fill(call.input_tensors[0])
        args = keras.tree.map_structure(fill, call.arguments.args)
        kwargs = keras.tree.map_structure(fill, _keywords(call))
        if id(operation) in self.edits.inlined:
            return self._inline(operation, *args)
        return self._copy(operation)(*args, **kwargs)

    def _copy(self, operation) -> Any:
        if id(operation) not in self.copies:
            self.copies[id(operation)] = self._make(operation)
        return self.copies[id(operation)]

    def _make(self, operation) -> Any:
        if has_graph(operation):
            return self.build(operation)
        if isinstance(operation, StochasticResidual):
            return self._make_residual(operation)
        new = self.edits.replaced.get(id(operation))
        if new is None:
            new = copy_operation(operation)
        if isinstance(operation, keras.Layer):
            self.layers.append((operation, new))
        return new

    def _make_residual(self, residual) -> StochasticResidual:
        branch, shortcut = self._copy(residual.branch), None
        if residual.shortcut is not None:
            shortcut = self._copy(residual.shortcut)
        options = {
            "rate": residual.rate,
            "scale": residual.scale,
            "activation": residual.activation,
            "seed": residual.seed,
            "dtype": residual.dtype_policy,
            **self.edits.options.get(id(residual), {}),
        }
        new = StochasticResidual(
            branch, shortcut, name=residual.name, **options
        )
        self.containers.append((residual, new))
        return new

    def _cut(self, call, tensors) -> Any:
        """Puts branch and shortcut of an addition into models of their own."""
        cut, name = self.edits.cuts[call], call.operation.name
        branch = self._part(
            cut.fork, cut.branch, f"{name}_branch", scale_of(call.operation)
        )
        shortcut = None
        if cut.shortcut is not cut.fork:
            shortcut = self._part(cut.fork, cut.shortcut, f"{name}_shortcut")
        layer = StochasticResidual(branch, shortcut, name=name, **cut.options)
        return layer(tensors[id(cut.fork)])

    def _part(self, start, end, name, scale=None) -> keras.Model:
        entry = keras.Input(
            batch_shape=start.shape, dtype=start.dtype, name=f"{name}_input"
        )
        tensors = {id(start): entry}
        self._run(calls_between([start], [end]), tensors)
        output = tensors[id(end)]
        if scale is not None:
            scaling = keras.layers.Rescaling(
                scale, name=f"{name}_scale", dtype=start.dtype
            )
            output = scaling(output)
        return keras.Model(entry, output, name=name)

    def _inline(self, residual, x) -> Any:
        """A residual block of plain layers that computes the same."""
        options = {"dtype": residual.dtype_policy}
        shortcut = x
        if residual.shortcut is not None:
            shortcut = self._unpack(residual.shortcut, x)
        branch = self._unpack(residual.branch, x)
        if residual.scale == "inference":
            branch = keras.layers.Rescaling(
                1 - residual.rate, name=f"{residual.name}_scale", **options
            )(branch)
        add = keras.layers.Add(name=residual.name, **options)
        if residual.activation is None:
            return add([shortcut, branch])
        return keras.layers.Activation(
            residual.activation, name=f"{residual.name}_activation", **options
        )(add([shortcut, branch]))

    def _unpack(self, part, x) -> Any:
        """Calls what is inside a model, in the model that is being built."""
        if not has_graph(part) or len(part.inputs) != 1:
            return self._copy(part)(x)
        calls = calls_between(part.inputs, part.outputs)
        names = {call.operation.name for call in calls}
        if names & self.names:
            return self._copy(part)(x)
        self.names |= names
        tensors = {id(part.inputs[0]): x}
        self._run(calls, tensors)
        return tensors[id(part.outputs[0])]


def _copy_input(tensor: Any) -> Any:
    layer = tensor._keras_history.operation
    return keras.layers.InputLayer(**layer.get_config()).output


def _keywords(call: Any) -> dict[str, Any]:
    """Keywords of a call, but for `training` where it is the layer's default.

    Keras records it, and the layer may become one of another default.
    """
    parameters = inspect.signature(call.operation.call).parameters
    default = getattr(parameters.get("training"), "default", None)
    return {
        name: value
        for name, value in call.arguments.kwargs.items()
        if name != "training" or value is not default
    }


def _ends(model: keras.Model) -> tuple[Any, Any]:
    """Inputs and outputs, structured as the model takes and gives them."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def _copy_weights(old, new, values=None) -> None:
    values = old.weights if values is None else values
    if [tuple(x.shape) for x in values] != [
        tuple(x.shape) for x in new.weights
    ]:
        raise ValueError(
            f"Layer {old.name!r} cannot be copied, because a "
            f"{type(old).__name__} that is made from its config has other "
            "weights; give it a `get_config` with all of its arguments."
        )
    for variable, value in zip(new.weights, values, strict=True):
        # A copy: under JAX two variables would share an array, and training
        # one of them would free it.
        variable.assign(np.array(keras.ops.convert_to_numpy(value)))
    for layer in new._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # It computes with constants made of them.


def _copy_flags(old, new) -> None:
    """Copies `trainable`, of a layer before that of the layers in it."""
    pairs = [(old, new)]
    inside = old._flatten_layers(False), new._flatten_layers(False)
    if len(inside[0]) == len(inside[1]):
        pairs += zip(*inside, strict=True)
    for one, other in pairs:
        other.trainable = one.trainable
