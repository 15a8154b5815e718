"""`dropzoo list [PATTERN]`: the models of the zoo, one a line."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

import tyro

from dropzoo.info import describe
from dropzoo.models import list_models, model_info
from dropzoo.models.keras_weights import KerasWeights
from dropzoo.models.spec import ModelSpec
from dropzoo.recipes.options import parse
from dropzoo.recipes.output_table import new_table, print_table


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of `dropzoo list`."""

    pattern: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="PATTERN")
    ] = "*"
    """Shell pattern of the names, such as 'efficientnet*'."""

    pretrained: tyro.conf.FlagCreatePairsOff[bool] = False
    """Only models that have trained weights."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print JSON instead of a table."""


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the models whose name matches a pattern.

    Args:
        argv: Words of the command line after the verb. `None` reads
            `sys.argv[1:]`.

    Returns:
        0, the exit status.

    Raises:
        ValueError: When no model matches.
    """
    config = parse(
        Config,
        argv,
        prog="dropzoo list",
        description="List the models of the zoo.",
    )
    names = list_models(config.pattern, pretrained=config.pretrained or None)
    if not names:
        raise ValueError(
            "list: `pattern` must match a model. "
            f"Received: pattern={config.pattern!r}; "
            f"try '*{config.pattern.strip('*')}*', or no pattern for all."
        )
    specs = [model_info(name) for name in names]
    if config.json:
        print(json.dumps([describe(spec) for spec in specs], indent=2))
    else:
        _print_table(specs)
    return 0


def _print_table(specs: Sequence[ModelSpec]) -> None:
    table = new_table(
        "name", ">parameters", ">input", "weights", ">top-1", "licence"
    )
    for spec in specs:
        table.add_row(*_row(spec))
    print_table(table)


def _row(spec: ModelSpec) -> tuple[str, ...]:
    size = _count(spec.parameters), f"{spec.input_size} px"
    if not spec.weights:
        return spec.name, *size, "-", "-", "-"
    weights = spec.weights[0]  # the recommended
    is_download = isinstance(weights, KerasWeights)
    absent = " (not downloaded)" if is_download else " (not installed)"
    installed = "" if weights.find_file() else absent
    reported = weights.accuracy_reported
    accuracy = "-" if reported is None else f"{reported:.1%}"
    return spec.name, *size, weights.tag + installed, accuracy, weights.licence


def _count(parameters: int) -> str:
    if parameters < 1e6:
        return f"{parameters / 1e3:.1f} k"
    return f"{parameters / 1e6:.1f} M"
