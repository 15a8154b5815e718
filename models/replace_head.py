"""Puts a new classifier on the features of a trained network."""

import logging
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, Literal, get_args

import keras

from dropzoo.models.classifier_search import Features, find_features
from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import has_graph
from dropzoo.models.heads import HEAD
from dropzoo.models.inner_tensors import outer_tensors
from dropzoo.models.layer_places import layer_places
from dropzoo.models.rewiring import rewire
from dropzoo.models.seeds import layer_seed

logger = logging.getLogger("dropzoo")

HeadPooling = Literal["avg", "max", "avg_max"]


def replace_head(
    model: keras.Model,
    num_classes: int,
    *,
    pooling: HeadPooling | None = None,
    dropout: float = 0.0,
    hidden: Sequence[int] = (),
    zero_init: bool = False,
    seed: int | None = None,
) -> keras.Model:
    """A copy of a classifier with a new head, which ends in logits.

    What is below the head is equal to the bit and shares nothing with the
    original, which stays as it is. What is new and what was left out is logged
    as a warning.

    The head is the last layer with weights, where it ends in class scores,
    with its dropout before it and all behind it. A network without one, such
    as `include_top=False` gives, gets its first.

    Args:
        model: A functional or Sequential classifier, or a network that ends in
            features or maps; with models inside or not, such as the
            `model.keras` of a run, of which the resizing stays inside.
        num_classes: Number of logits, at least 1.
        pooling: `None`, the default, keeps what is below the old classifier,
            its hidden layers too; maps are averaged. `"avg"`, `"max"` and
            `"avg_max"`, which is both side by side, start from the last map
            instead, and leave out hidden dense layers behind it.
        dropout: Rate in [0, 1) before every new dense layer.
        hidden: Units of hidden dense layers with ReLU, the first first.
        zero_init: Whether the last layer starts at zero instead of at random,
            so that all classes are equally probable at first and the features
            get no gradient in the first step.
        seed: Integer, of which each new layer gets its own.

    Returns: A functional model, not compiled.

    Raises:
        TypeError: `model` is not functional.
        ValueError: An argument is out of its range, or the model has no
            features for a head.

    Example:
        >>> x = keras.Input((8, 8, 3))
        >>> y = keras.layers.Conv2D(4, 3, name="conv")(x)
        >>> y = keras.layers.GlobalAveragePooling2D(name="features")(y)
        >>> old = keras.Model(x, keras.layers.Dense(1000, "softmax")(y))
        >>> new = replace_head(old, 5, hidden=(16,), dropout=0.2, seed=0)
        >>> [layer.name for layer in new.layers][2:]
        ['features', 'dropout1', 'hidden1', 'dropout', 'logits']

    Reference: zero initialisation: Kolesnikov et al., "Big Transfer (BiT)",
        2020, section 3.3.
    """
    _check_model(model)
    _check_arguments(num_classes, pooling, dropout, hidden)
    found = find_features(model, wants_map=pooling is not None)
    below = _copy_below(model, found)
    names = _fresh_names(below)
    features = below.output
    if len(features.shape) == 4:
        features = _pool(features, pooling or "avg", names)
    x = features
    for number, units in enumerate(hidden, start=1):
        x = _drop(x, dropout, names(f"dropout{number}"), seed)
        name = names(f"hidden{number}")
        start = keras.initializers.HeNormal(seed=layer_seed(seed, name))
        x = keras.layers.Dense(
            units, "relu", kernel_initializer=start, name=name
        )(x)
    x = _drop(x, dropout, names("dropout"), seed)
    name = names(HEAD)
    start = "zeros"
    if not zero_init:
        start = keras.initializers.GlorotUniform(seed=layer_seed(seed, name))
    x = keras.layers.Dense(
        int(num_classes), kernel_initializer=start, name=name, dtype="float32"
    )(x)
    copy = keras.Model(below.input, x, name=model.name)
    logger.warning(_report(model, below, copy, zero_init))
    return copy


def _copy_below(model: keras.Model, found: Features) -> keras.Model:
    """An independent copy of what is below the head."""
    (output,) = outer_tensors(model, [(found.route, found.tensor)])
    is_sequential = isinstance(model, keras.Sequential)
    entry = model.inputs[0] if is_sequential else model.input
    return rewire(keras.Model(entry, output, name=model.name), Edits())


def _pool(x: Any, kind: HeadPooling, names: Callable[[str], str]) -> Any:
    """Pools maps `(batch, height, width, channels)` to `(batch, features)`."""
    average = keras.layers.GlobalAveragePooling2D
    maximum = keras.layers.GlobalMaxPooling2D
    if kind != "avg_max":
        pool = average if kind == "avg" else maximum
        return pool(name=names("features"))(x)
    both = [
        average(name=names("features_avg"))(x),
        maximum(name=names("features_max"))(x),
    ]
    return keras.layers.Concatenate(name=names("features"))(both)


def _drop(x: Any, rate: float, name: str, seed: int | None) -> Any:
    """Dropout; nothing at a rate of 0."""
    if not rate:
        return x
    return keras.layers.Dropout(rate, seed=layer_seed(seed, name), name=name)(x)


def _fresh_names(below: keras.Model) -> Callable[[str], str]:
    """Gives a name as it is, or with a number where the model has it."""
    taken = {operation.name for operation in below.operations}

    def fresh(name: str) -> str:
        number, result = 1, name
        while result in taken:
            number += 1
            result = f"{name}_{number}"
        return result

    return fresh


def _report(model, below, copy, zero_init) -> str:
    """What was kept, what was left out and what is new, in a sentence."""
    kept = {place.address for place in layer_places(below)}
    old = [x.address for x in layer_places(model) if x.has_weights]
    gone = [address for address in old if address not in kept]
    new = [x.name for x in copy.layers if x.weights and x.name not in kept]
    start = "zero" if zero_init else "random"
    features = copy.layers[-1].input.shape[-1]
    return (
        f"replace_head: {model.name} keeps {len(below.weights)} tensors; left "
        f"out: {', '.join(gone) or 'nothing'}; new: {', '.join(new)}, of which "
        f"the last is {start} and takes {features} features to "
        f"{copy.output.shape[-1]} logits."
    )


def _check_model(model: Any) -> None:
    if not has_graph(model) or len(model.outputs) != 1:
        raise TypeError(
            "replace_head: `model` must be a functional or a built Sequential "
            f"keras.Model with one output. Received: {type(model).__name__}"
        )


def _check_arguments(
    num_classes: Any, pooling: Any, dropout: Any, hidden: Any
) -> None:
    if not _is_count(num_classes):
        raise ValueError(
            "replace_head: `num_classes` must be a positive whole number. "
            f"Received: num_classes={num_classes!r}"
        )
    if pooling not in (None, *get_args(HeadPooling)):
        raise ValueError(
            "replace_head: `pooling` must be None or one of "
            f"{', '.join(map(repr, get_args(HeadPooling)))}. "
            f"Received: pooling={pooling!r}"
        )
    if not (isinstance(dropout, Real) and 0 <= float(dropout) < 1):
        raise ValueError(
            "replace_head: `dropout` must be in [0, 1). "
            f"Received: dropout={dropout!r}"
        )
    is_sequence = isinstance(hidden, (list, tuple))
    if not is_sequence or not all(map(_is_count, hidden)):
        raise ValueError(
            "replace_head: `hidden` must be a sequence of positive whole "
            f"numbers. Received: hidden={hidden!r}"
        )


def _is_count(value: Any) -> bool:
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    return is_whole and value >= 1
