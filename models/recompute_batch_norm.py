"""Recomputes what batch normalization knows of the training data."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

Batches = Iterable[Any] | Callable[[], Iterable[Any]]


def recompute_batch_norm(model: keras.Model, batches: Batches) -> None:
    """Sets the moving statistics to the average of those of the batches.

    Weights that no training step has seen, such as an average of weights,
    need statistics of their own. Each batch passes through the model as in
    training; a layer's mean and variance become the plain averages of its
    batch means and batch variances. Each batch counts the same, and so does
    each call of a layer that is called twice. Nothing else moves: random
    streams and counters are put back.

    Frozen layers are left alone, and so are those that do not update in
    training because a layer around them calls them with `training=False`.

    Args:
        model: A built model.
        batches: Iterable of inputs or of `(inputs, labels, ...)`, such as a
            `tf.data.Dataset` of the training images, or a function that gives
            one; read once, to its end. It is not read where no layer is to be
            recomputed.

    Raises: ValueError when there is no batch, or a layer has `renorm=True`.

    Example:
        >>> layer = keras.layers.BatchNormalization()
        >>> model = keras.Sequential([keras.Input((1,)), layer])
        >>> recompute_batch_norm(model, [np.array([[1.0], [3.0]])])
        >>> float(layer.moving_mean[0]), float(layer.moving_variance[0])
        (2.0, 1.0)

    Reference: Izmailov et al., "Averaging Weights Leads to Wider Optima and
        Better Generalization", 2018, section 3.2.
    """
    layers = thawed_batch_norms(model)
    for layer in layers:
        if layer.renorm:
            raise ValueError(
                "recompute_batch_norm: `model` must not renormalize batches; "
                "its corrections depend on the statistics themselves. "
                f"Received: renorm=True in {layer.name}"
            )
    if layers:
        averages = [_Average(layer) for layer in layers]
        with _left_as_it_was(model), _counted(layers) as calls:
            one_pass = _TrainingPass(model, calls)
            for batch in _inputs(batches):
                if not calls:  # the first pass tells which layers update
                    one_pass.predict_on_batch(batch)
                for average in averages:
                    average.begin(calls[id(average.layer)])
                one_pass.predict_on_batch(batch)
                for average in averages:
                    average.add(calls[id(average.layer)])
        for average in averages:
            average.assign()


def thawed_batch_norms(
    model: keras.Model,
) -> list[keras.layers.BatchNormalization]:
    """The batch normalizations of a model that are not frozen.

    Args:
        model: A built model; layers inside of layers count too.
    """
    return [
        layer
        for layer in model._flatten_layers()  # no public way inside of layers
        if isinstance(layer, keras.layers.BatchNormalization)
        and layer.trainable
    ]


def check_batches(owner: str, model: keras.Model, batches: Any) -> None:
    """Raises unless there are batches where an average of weights needs them.

    Args:
        owner: Who averages the weights, for the error.
        model: A built model.
        batches: What a user gave, perhaps `None`.
    """
    layers = thawed_batch_norms(model)
    if layers and batches is None:
        raise ValueError(
            f"{owner}: `batches` must be training data where batch "
            "normalization is trained: its statistics do not fit averaged "
            f"weights. Received: batches=None for {layers[0].name}"
        )


class _Average:
    """The average of a layer's batch statistics, in double precision."""

    def __init__(self, layer):
        self.layer = layer
        self.value = self._read()
        self.count = 0

    def begin(self, calls: int) -> None:
        """Marks a layer that calls update with a variance that none gives."""
        if calls:
            self._write(np.full_like(self.value, -1))

    def add(self, calls: int) -> None:
        """Takes over the mean of so many calls.

        The mark is still there where the branch of the layer was skipped.
        """
        found = self._read()
        if calls and not (found[1] == -1).all():
            self.count += calls
            old = self.value if self.count > calls else np.zeros_like(found)
            self.value = old + (found - old) * (calls / self.count)

    def assign(self) -> None:
        """Gives the average to the layer, if there is one."""
        if self.count:
            self._write(self.value)

    def _read(self) -> np.ndarray:
        variables = self.layer.moving_mean, self.layer.moving_variance
        values = [keras.ops.convert_to_numpy(v) for v in variables]
        return np.array(values, "float64")  # (2, channels)

    def _write(self, values: np.ndarray) -> None:
        mean, variance = values.astype("float32")
        self.layer.moving_mean.assign(mean)
        self.layer.moving_variance.assign(variance)


class _TrainingPass(keras.Model):
    """A pass as in training, for `predict_on_batch` to compile."""

    def __init__(self, model, calls):
        super().__init__(dtype=model.dtype_policy, name="training_pass")
        self.inner = model
        self.restart = calls.clear
        self.built = True

    def call(self, inputs):
        self.restart()
        return self.inner(inputs, training=True)


@contextlib.contextmanager
def _counted(layers: list[Any]) -> Iterator[Counter]:
    """Makes each layer the plain mean over its calls in one pass.

    With the momentum `i / (i + 1)` in call `i`, from 0 on, nothing is left of
    what the statistics were, and every call has the same share.
    """
    calls: Counter = Counter()

    def counted(layer):
        call = layer.call

        def count(inputs, training=None, mask=None):
            if training:
                layer.momentum = calls[id(layer)] / (calls[id(layer)] + 1)
                calls[id(layer)] += 1
            return call(inputs, training=training, mask=mask)

        return count

    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.call = counted(layer)
    try:
        yield calls
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            del layer.call
            layer.momentum = momentum


@contextlib.contextmanager
def _left_as_it_was(model: keras.Model) -> Iterator[None]:
    """Puts all state back that a pass as in training moves."""
    variables = model.non_trainable_variables
    values = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def _inputs(batches: Batches) -> Iterator[Any]:
    """The inputs of each batch, as NumPy arrays: JAX takes no tf.Tensor."""
    batches = batches() if callable(batches) else batches
    if isinstance(batches, keras.utils.PyDataset):  # its iterator may not end
        data = batches
        batches = (data[i] for i in range(data.num_batches))
    count = 0
    for batch in batches:
        inputs = batch[0] if isinstance(batch, tuple) else batch
        yield keras.tree.map_structure(keras.ops.convert_to_numpy, inputs)
        count += 1
    if not count:
        raise ValueError(
            "recompute_batch_norm: `batches` must hold at least one batch. "
            "Received: nothing. A generator can be read only once"
        )
