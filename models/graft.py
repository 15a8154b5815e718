"""Puts stochastic layers into a network that was built without them."""

import keras

from dropzoo.models.depth_grafts import plan_stochastic_depth
from dropzoo.models.dropconnect_grafts import plan_dropconnect
from dropzoo.models.dropout_grafts import plan_dropout
from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import (
    check_has_graph,
    graphs,
    operations_in,
)
from dropzoo.models.graft_request import (
    GRAFTED,
    Request,
    Where,
    pooling_request,
    rate_request,
)
from dropzoo.models.map_drop_grafts import plan_map_drop
from dropzoo.models.pooling_grafts import POOLINGS, plan_pooling
from dropzoo.models.rewiring import rewire
from dropzoo.models.stripping import training_edits

Rate = float | tuple[float, Where]


def graft(
    model: keras.Model,
    *,
    stochastic_depth: Rate | None = None,
    dropconnect: Rate | None = None,
    drop_block: Rate | None = None,
    max_drop: Rate | None = None,
    dropout: Rate | None = None,
    pooling: str | tuple[str, Where] | None = None,
    skip: bool = False,
    seed: int | None = None,
) -> keras.Model:
    """A copy of a network with stochastic layers in it.

    With `training=False` it computes what the original does, to the bit,
    unless pooling layers were swapped. It shares nothing with the original,
    which stays as it is.

    A technique is a rate in [0, 1), or `(rate, where)`, with the name of a
    layer, a shell pattern such as `"block5*"`, or a function of a layer or
    operation. Layers of the technique that the model has are re-rated and not
    doubled. `graft_report` lists what a model has, and `docs/grafting.md` what
    is found in which network.

    Args:
        model: A functional or Sequential model, with models in it or not.
        stochastic_depth: Rate of dropping the deepest residual branch; those
            before it have rates that grow up to it linearly, as in
            `linear_decay` with the rule "paper". `where` chooses additions, by
            themselves or by a layer of their branches.
        dropconnect: Rate of dropping weights: of dense layers on vectors, or of
            layers with a kernel that are chosen.
        drop_block: Rate of dropping squares of maps: behind the residual
            additions of the two coarsest levels, or behind their activations
            where there are none, or behind the layers that are chosen.
        max_drop: Rate of dropping the maxima of maps, in the same places.
        dropout: Rate of dropping features before the classifier, or before the
            layers that are chosen.
        pooling: `"max"`, `"average"`, `"stochastic"` or `"fractional"`, in
            place of all pooling layers or those chosen, with the same output
            sizes.
        skip: Whether the branches of stochastic depth are cut out, each into a
            `StochasticResidual` under the name of the addition, which draws
            one gate for a batch and does not compute what is dropped.
            Otherwise they are masked, a gate for each sample.
        seed: Integer, of which each new layer gets its own.

    Returns: An independent functional model, not compiled.

    Raises:
        TypeError: `model` is of another kind, or an argument is.
        ValueError: A value is out of range; no technique is asked for; there is
            no place for one; a layer cannot be copied, or not as asked for.

    Example:
        >>> x = keras.Input((8,))
        >>> y = keras.layers.Dense(8, name="dense")(x)
        >>> model = keras.Model(x, keras.layers.Add(name="add")([x, y]))
        >>> [layer.name for layer in graft(model, stochastic_depth=0.2).layers]
        ['input_layer...', 'dense', 'add_grafted_stochastic_depth', 'add']
    """
    check_has_graph(model, "graft")
    rates = {
        "stochastic_depth": stochastic_depth,
        "dropconnect": dropconnect,
        "drop_block": drop_block,
        "max_drop": max_drop,
        "dropout": dropout,
    }
    requests = [
        rate_request(argument, given, seed)
        for argument, given in rates.items()
        if given is not None
    ]
    if pooling is not None:
        requests.append(pooling_request(pooling, POOLINGS, seed))
    if not requests:
        raise ValueError(
            "graft: a technique must be asked for, one of "
            f"{', '.join(rates)} or pooling. Received: none."
        )
    if skip and stochastic_depth is None:
        raise ValueError(
            "graft: `skip` needs the rate of the branches that it skips. "
            "Received: skip=True, stochastic_depth=None."
        )
    edits = Edits()
    for request in requests:
        _plan(request, model, skip, edits)
    return rewire(model, edits)


def _plan(
    request: Request, model: keras.Model, skip: bool, edits: Edits
) -> None:
    parts = graphs(model)
    match request.argument:
        case "stochastic_depth":
            plan_stochastic_depth(request, model, skip, edits)
        case "dropconnect":
            plan_dropconnect(request, parts, edits)
        case "dropout":
            plan_dropout(request, model, parts, edits)
        case "pooling":
            plan_pooling(request, parts, edits)
        case _:
            plan_map_drop(request, model, parts, edits)


def ungraft(model: keras.Model) -> keras.Model:
    """A copy of a network without what `graft` puts in.

    Layers that only training needs are left out, those that drop weights
    become plain ones, and `StochasticResidual` becomes its layers and an
    addition: what is left are layers of Keras. It computes the same at
    inference, to the bit where layers scale in training, as grafted ones do.

    What stays: pooling that draws, because it computes something else at
    inference too (`graft(model, pooling="max")` swaps it back); and the rates
    that Keras's own `Dropout` layers were given.

    Args:
        model: A functional or Sequential model.

    Returns: An independent functional model, not compiled.

    Raises:
        TypeError: `model` is of another kind.
        ValueError: A layer cannot be copied.

    Example:
        >>> x = keras.Input((8,))
        >>> model = keras.Model(x, keras.layers.Dense(3, name="dense")(x))
        >>> plain = ungraft(graft(model, dropconnect=0.1, dropout=0.2))
        >>> type(plain.get_layer("dense")).__name__, len(plain.layers)
        ('Dense', 2)
    """
    check_has_graph(model, "ungraft")
    edits = training_edits(model)
    for operation in operations_in(model):
        if isinstance(operation, keras.layers.Dropout):
            if GRAFTED in operation.name:
                edits.removed.add(id(operation))
    return rewire(model, edits)
