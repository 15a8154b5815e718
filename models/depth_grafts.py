"""Where stochastic depth goes: to the end of every residual branch."""

from typing import Any

import keras

from dropzoo.layers import StochasticDepth, linear_decay
from dropzoo.models.edits import Cut, Edits
from dropzoo.models.functional_graph import calls_between
from dropzoo.models.graft_request import Request, grafted_name
from dropzoo.models.layer_copies import rerate
from dropzoo.models.residual_additions import (
    ResidualAddition,
    find_residual_additions,
)
from dropzoo.models.seeds import layer_seed


def plan_stochastic_depth(
    request: Request, model: keras.Model, skip: bool, edits: Edits
) -> None:
    """Plans a drop for each residual branch, more often the deeper it is.

    Args:
        request: What was asked for. `where` chooses an addition by itself or by
            any layer of its branches. Without it an addition is left out whose
            branch has residual additions of its own.
        model: A functional or Sequential model.
        skip: Whether branches are cut out, to be skipped.
        edits: What is to change, added to.

    Raises: ValueError when there is no such addition, or one cannot be cut out.
    """
    found = find_residual_additions(model)
    if request.where is None:
        chosen = [addition for addition in found if not addition.inner]
    else:
        chosen = [x for x in found if any(map(request.chooses, x.operations))]
    if not chosen:
        candidates = [addition.call.operation for addition in found]
        request.refuse_nothing("residual additions", candidates)
    rates = linear_decay(request.value, len(chosen), rule="paper")
    for addition, rate in zip(chosen, rates, strict=True):
        if addition.is_skipping:
            options = _options(request, addition.name, rate)
            edits.options[id(addition.call.operation)] = options
        elif skip:
            _cut(request, addition, rate, edits)
        else:
            _mask(request, addition, rate, edits)


def _options(request: Request, name: str, rate: float) -> dict[str, Any]:
    """Rate and seed of a layer; without a seed it keeps its own."""
    if request.seed is None:
        return {"rate": rate}
    return {"rate": rate, "seed": layer_seed(request.seed, name)}


def _mask(
    request: Request, addition: ResidualAddition, rate: float, edits: Edits
) -> None:
    for number, branch in enumerate(addition.branches, start=1):
        for drop in branch.drops:
            edits.replaced[id(drop)] = rerate(drop, rate, request.seed)
        if branch.drops or not rate:
            continue
        name = grafted_name(addition.graph, addition.call, request.argument)
        name += f"_branch{number}" if len(addition.branches) > 1 else ""
        edits.before[addition.call, id(branch.end)] = StochasticDepth(
            rate,
            seed=layer_seed(request.seed, name),
            name=name,
            dtype=branch.end.dtype,
        )


def _cut(
    request: Request, addition: ResidualAddition, rate: float, edits: Edits
) -> None:
    obstacle = why_not_skipped(addition)
    if obstacle is not None:
        request.refuse(
            f"`skip` cannot cut out the branch of {addition.name!r}: {obstacle}"
        )
    (branch,) = addition.branches
    edits.removed.update(id(drop) for drop in branch.drops)
    operation = addition.call.operation
    is_layer = isinstance(operation, keras.Layer)
    edits.cuts[addition.call] = Cut(
        fork=addition.fork,
        branch=branch.end,
        shortcut=addition.shortcut,
        options={
            "rate": rate,
            "seed": layer_seed(request.seed, addition.name),
            "dtype": operation.dtype_policy if is_layer else branch.end.dtype,
        },
    )


def why_not_skipped(addition: ResidualAddition) -> str | None:
    """Why a branch cannot be cut out; `None` where it can.

    Args:
        addition: A residual addition that is no `StochasticResidual` yet.
    """
    if len(addition.branches) > 1:
        return f"{len(addition.branches)} branches meet in it"
    (branch,) = addition.branches
    shortcut = calls_between([addition.fork], [addition.shortcut])
    if set(shortcut) & set(branch.calls):
        return "shortcut and branch have layers in common"
    times = addition.graph.times_called()
    for each in (addition.call, *shortcut, *branch.calls):
        if times[id(each.operation)] > 1:
            return f"its layer {each.operation.name!r} is called more than once"
    return None
