"""Which network takes which option, as a table in Markdown."""

import inspect
from collections.abc import Iterable, Iterator

from dropzoo.models.spec import ModelSpec
from dropzoo.models.techniques import TECHNIQUES

OF_EVERY_BUILDER = {
    "name",
    "num_classes",
    "input_shape",
    "preprocessing",
    "techniques",
}
FEW = 3  # so many names of a family are all written


def options(spec: ModelSpec) -> list[str]:
    """What a network can be varied by, as overrides of `create_model`.

    Args:
        spec: The network.

    Returns: Names, those of its own builder first.
    """
    return [
        *own_options(spec),
        *(option for option in TECHNIQUES if option not in spec.lacks),
    ]


def own_options(spec: ModelSpec) -> list[str]:
    """Options of a network's builder that not every network has.

    Args:
        spec: The network.
    """
    parameters = inspect.signature(spec.build).parameters
    return [name for name in parameters if name not in OF_EVERY_BUILDER]


def option_matrix(specs: Iterable[ModelSpec]) -> str:
    """A row for each family, a column for each option, and the reasons.

    Args:
        specs: Networks. Those of one builder that lack the same are a family.

    Returns: A table in Markdown, and a list of what is not there and why.
    """
    families: dict[tuple, list[ModelSpec]] = {}
    for spec in specs:
        key = spec.build, tuple(spec.lacks.items()), tuple(own_options(spec))
        families.setdefault(key, []).append(spec)
    rows = [
        ["networks", *map(_code, TECHNIQUES), "its own"],
        ["---"] * (len(TECHNIQUES) + 2),
        *map(_row, families.values()),
    ]
    table = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*table, "", *_reasons(families.values())])


def _row(family: list[ModelSpec]) -> list[str]:
    spec = family[0]
    return [
        _names(family),
        *("no" if x in spec.lacks else "yes" for x in TECHNIQUES),
        ", ".join(map(_code, own_options(spec))) or "-",
    ]


def _reasons(families: Iterable[list[ModelSpec]]) -> Iterator[str]:
    lacking: dict[tuple[str, str], list[str]] = {}
    for family in families:
        for lack in family[0].lacks.items():
            lacking.setdefault(lack, []).append(_names(family))
    for (option, reason), names in sorted(lacking.items()):
        yield f"- No `{option}` in {'; '.join(names)}, because {reason}."


def _names(specs: list[ModelSpec]) -> str:
    names = [_code(spec.name) for spec in specs]
    if len(names) <= FEW:
        return ", ".join(names)
    return f"{names[0]}, ... {names[-1]} ({len(names)})"


def _code(name: str) -> str:
    return f"`{name}`"
