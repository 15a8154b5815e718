"""What a caller of `graft` asks of one technique, and of which layers."""

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any, NoReturn

from dropzoo.models.functional_graph import Graph
from dropzoo.models.seeds import layer_seed

GRAFTED = "_grafted_"  # in the name of every layer that is put in
Where = str | Callable[[Any], bool] | None


@dataclass(frozen=True)
class Request:
    """One argument of `graft`, checked.

    Args:
        argument: Its name.
        value: A rate, or a kind of pooling.
        where: Name or shell pattern of layers, or a predicate of a layer;
            `None` for the places that the technique has by itself.
        seed: From which each new layer gets its own.
    """

    argument: str
    value: Any
    where: Where
    seed: int | None

    def chooses(self, operation: Any) -> bool:
        """Whether `where` is true of a layer or operation.

        Args:
            operation: A layer or operation.
        """
        if self.where is None:
            return True
        if callable(self.where):
            return bool(self.where(operation))
        name = operation.name
        return name == self.where or fnmatch.fnmatchcase(name, self.where)

    def options(self, name: str) -> dict[str, Any]:
        """Arguments of a new layer that drops: its rate and its own seed.

        Args:
            name: Name of the layer.
        """
        return {"rate": self.value, "seed": layer_seed(self.seed, name)}

    def refuse(self, sentence: str) -> NoReturn:
        """Raises: there is no place for the technique.

        Args:
            sentence: Why, to stand after "because".
        """
        received = f"{self.argument}={self.value!r}"
        if self.where is not None:
            received = f"{self.argument}={(self.value, self.where)!r}"
        raise ValueError(
            f"graft: `{self.argument}` cannot be grafted, because {sentence}. "
            f"Received: {received}"
        )

    def refuse_nothing(self, kind: str, candidates: Iterable[Any]) -> NoReturn:
        """Raises: nothing was found, or `where` chose nothing of it.

        Args:
            kind: What was looked for, in the plural.
            candidates: Layers and operations that `where` could have chosen.
        """
        names = [operation.name for operation in candidates]
        if not names:
            self.refuse(f"the model has no {kind}")
        more = ", ..." if len(names) > 5 else ""
        self.refuse(
            f"`where` must choose some of its {kind} "
            f"({', '.join(names[:5])}{more})"
        )


def grafted_name(graph: Graph, call: Any, technique: str) -> str:
    """The name of a layer that `graft` puts beside another.

    Args:
        graph: The graph that it is put into.
        call: The call of the other layer, by which it is named.
        technique: Argument of `graft`.
    """
    operation = call.operation
    calls = [other for other in graph.calls if other.operation is operation]
    number = f"_{calls.index(call) + 1}" if len(calls) > 1 else ""
    return f"{operation.name}{GRAFTED}{technique}{number}"


def rate_request(argument: str, given: Any, seed: int | None) -> Request:
    """The request that a rate or `(rate, where)` is.

    Args:
        argument: Name of the argument.
        given: What the caller gave.
        seed: The seed of `graft`.

    Raises: TypeError when it is neither; ValueError when the rate is outside
        [0, 1).
    """
    rate, where = _split(given)
    sentence = (
        f"graft: `{argument}` must be a rate in [0, 1) or (rate, where), where "
        "`where` is a layer's name, a shell pattern or a function of a layer. "
        f"Received: {argument}={given!r}"
    )
    is_number = isinstance(rate, Real) and not isinstance(rate, bool)
    if not is_number or not _is_where(where):
        raise TypeError(sentence)
    if not 0 <= rate < 1:
        raise ValueError(sentence)
    return Request(argument, float(rate), where, seed)


def pooling_request(given: Any, kinds: tuple, seed: int | None) -> Request:
    """The request that a kind of pooling or `(kind, where)` is.

    Args:
        given: What the caller gave.
        kinds: The kinds that there are.
        seed: The seed of `graft`.

    Raises: TypeError when it is neither; ValueError for an unknown kind.
    """
    kind, where = _split(given)
    sentence = (
        f"graft: `pooling` must be one of {', '.join(map(repr, kinds))}, or "
        "(kind, where), where `where` is a layer's name, a shell pattern or a "
        f"function of a layer. Received: pooling={given!r}"
    )
    if not isinstance(kind, str) or not _is_where(where):
        raise TypeError(sentence)
    if kind not in kinds:
        raise ValueError(sentence)
    return Request("pooling", kind, where, seed)


def _split(given: Any) -> tuple[Any, Any]:
    """What was given, and where; an alien `where` is no `Where`."""
    if isinstance(given, tuple):
        return given if len(given) == 2 else (None, None)
    return given, None


def _is_where(where: Any) -> bool:
    return where is None or isinstance(where, str) or callable(where)
