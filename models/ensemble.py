"""Several classifiers as one model that averages what they give."""

from collections.abc import Iterable
from itertools import count
from typing import Any

import keras

from dropzoo.models.averaged_outputs import (
    Averaged,
    average_outputs,
    plan_member,
)
from dropzoo.models.leading_layers import (
    behind,
    call_copy,
    input_of,
    new_input,
    shared_layers,
)


def ensemble(
    members: Iterable[keras.Model],
    *,
    average: Averaged = "probabilities",
    from_logits: bool | None = None,
) -> keras.Model:
    """One model that averages the probabilities of several classifiers.

    With `average="probabilities"` it gives `mean(softmax(logits))`, the
    arithmetic mean of the members' distributions; with `average="logits"`
    `softmax(mean(logits))`, their geometric mean, normalised. Either way it
    gives probabilities, in float32, whatever the members end in.

    The members become models inside of it, copies that share nothing with the
    originals. What is there for training alone is stripped. Resizing,
    rescaling and normalisation that all members begin with is done once.

    Args:
        members: Functional or Sequential classifiers of any architectures,
            with the same classes in the same order and inputs of one shape
            and type. Photos of any size are such an input: a saved
            `model.keras` of a run takes them, each resizing them as it needs.
        average: "probabilities" or "logits".
        from_logits: Whether the members give logits. `None` finds out for
            each: what is behind a softmax or sigmoid is a probability; else
            a loss of Keras tells that it was compiled with; else a linear last
            layer gives logits.

    Returns: A functional model, not compiled, that `keras.saving.load_model`
        loads without this package, where the members have none of its layers
        that inference needs.

    Raises:
        TypeError: `members` are no functional or built Sequential models.
        ValueError: There are none, they differ in inputs or classes or have
            several outputs, `average` is unknown, or it cannot be told or
            averaged what one gives.

    Example:
        >>> members = [
        ...     keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        ...     for _ in range(5)
        ... ]
        >>> ensemble(members).output_shape
        (None, 3)

    Reference: Lakshminarayanan et al., "Simple and Scalable Predictive
        Uncertainty Estimation using Deep Ensembles", 2017, section 2.4.
    """
    members = _listed(members)
    plans = [plan_member("ensemble", x, average, from_logits) for x in members]
    _check_ends(members)
    shared = shared_layers(members)
    inputs = keras.tree.map_structure(new_input, input_of(members[0]))
    x = inputs
    for step in shared[0]:
        x = call_copy(step.layer, x)
    taken = {"average", "probabilities"}
    taken |= {step.layer.name for step in shared[0]}
    taken |= {tensor.name for tensor in keras.tree.flatten(inputs)}
    outputs = []
    for member, plan, steps in zip(members, plans, shared, strict=True):
        copy = behind(member, steps, plan.edits)
        copy.name = _unique(member.name, taken)
        # A Resizing acts as in training, and what follows would do as it does.
        outputs.append(copy(x, training=False))
    probabilities = average_outputs(outputs, plans, average)
    return keras.Model(inputs, probabilities, name="ensemble")


def _listed(members: Any) -> list[keras.Model]:
    """The members as a list that is not empty."""
    if isinstance(members, keras.Model):
        raise TypeError(
            "ensemble: `members` must be a list of models. Received: the "
            f"model {members.name!r} alone"
        )
    members = list(members)
    if not members:
        raise ValueError(
            "ensemble: `members` must hold at least one model. "
            "Received: members=[]"
        )
    return members


def _check_ends(members: list[keras.Model]) -> None:
    """Raises unless all members have the inputs and classes of the first."""
    first, *others = members
    for other in others:
        ends = [_described(input_of(model)) for model in (first, other)]
        if ends[0] != ends[1]:
            raise ValueError(
                "ensemble: `members` must have inputs of one shape and type; "
                "let each begin with a keras.layers.Resizing on images of any "
                f"size. Received: {ends[0]} of {first.name!r} and {ends[1]} "
                f"of {other.name!r}"
            )
        shapes = [model.outputs[0].shape for model in (first, other)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                "ensemble: `members` must have the same classes. Received: "
                f"outputs {shapes[0]} of {first.name!r} and {shapes[1]} of "
                f"{other.name!r}"
            )


def _described(tensors: Any) -> Any:
    return keras.tree.map_structure(lambda x: f"{x.shape} {x.dtype}", tensors)


def _unique(name: str, taken: set[str]) -> str:
    """A name that nothing has yet, which is then taken."""
    names = (f"{name}_{number}" if number else name for number in count())
    name = next(name for name in names if name not in taken)
    taken.add(name)
    return name
