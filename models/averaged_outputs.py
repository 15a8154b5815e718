"""Averages the outputs of classifiers, as probabilities or as logits."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import keras

from dropzoo.models.class_outputs import gives_logits, softmax_edits
from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import has_graph
from dropzoo.models.stripping import training_edits

Averaged = Literal["probabilities", "logits"]


class Plan(NamedTuple):
    """What becomes of a classifier whose outputs are averaged.

    Attributes:
        edits: What is to change in it.
        gives_logits: Whether it then gives logits, not probabilities.
    """

    edits: Edits
    gives_logits: bool


def plan_member(
    verb: str, member: Any, average: Averaged, from_logits: bool | None
) -> Plan:
    """Plans how a classifier becomes one that can be averaged.

    Args:
        verb: The public function that averages, for errors.
        member: What a user gave.
        average: What is to be averaged.
        from_logits: Whether it gives logits; `None` to find out.

    Raises:
        TypeError: It is no model with a graph.
        ValueError: `average` is unknown, or the model has several outputs, or
            what it gives cannot be told or averaged.
    """
    _check(verb, member, average)
    edits = training_edits(member)
    is_logits = from_logits
    if is_logits is None:
        is_logits = gives_logits(member)
    if is_logits is None:
        raise ValueError(
            f"{verb}: `from_logits` must tell what {member.name!r} gives, "
            "because neither its last layer nor the loss it was compiled with "
            "does. Received: from_logits=None"
        )
    if is_logits and member.outputs[0].shape[-1] == 1:
        raise ValueError(
            f"{verb}: {member.name!r} must give a logit for each of several "
            "classes, because a softmax of a single one is always 1; end it "
            "in a sigmoid. Received: one output"
        )
    if average == "logits" and not is_logits:
        is_logits = softmax_edits(member, edits)
        if not is_logits:
            raise ValueError(
                f"{verb}: `average` must be 'probabilities' where a member "
                f"ends in neither logits nor a softmax, as {member.name!r} "
                "does. Received: average='logits'"
            )
    return Plan(edits, is_logits)


def average_outputs(
    outputs: Sequence[Any], plans: Sequence[Plan], average: Averaged
) -> Any:
    """The probabilities that several classifiers give together, in float32.

    Args:
        outputs: Symbolic tensors `(batch, ..., classes)`.
        plans: The plan that each of them comes from.
        average: "probabilities" takes their mean; "logits" the softmax of the
            mean of the logits, which all of them must be.
    """
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    if average == "logits":
        return softmax(_mean(outputs))
    return _mean(
        [
            softmax(x) if plan.gives_logits else x
            for x, plan in zip(outputs, plans, strict=True)
        ]
    )


def _mean(tensors: Sequence[Any]) -> Any:
    if len(tensors) == 1:
        return tensors[0]
    return keras.layers.Average(dtype="float32", name="average")(tensors)


def _check(verb: str, member: Any, average: str) -> None:
    if average not in ("probabilities", "logits"):
        raise ValueError(
            f"{verb}: `average` must be 'probabilities' or 'logits'. "
            f"Received: average={average!r}"
        )
    if not has_graph(member):
        raise TypeError(
            f"{verb}: a member must be a functional or a built Sequential "
            f"keras.Model. Received: {type(member).__name__}"
        )
    if len(member.outputs) != 1:
        raise ValueError(
            f"{verb}: a member must have one output, its classes. Received: "
            f"{member.name!r} with {len(member.outputs)} outputs"
        )
