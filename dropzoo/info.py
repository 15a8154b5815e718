"""`dropzoo info NAME`: everything the catalogue knows about one model."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Any

import tyro
from rich.console import Console

from dropzoo.models import model_info
from dropzoo.models.keras_weights import KerasWeights
from dropzoo.models.spec import ModelSpec, Weights
from dropzoo.recipes.options import parse


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of `dropzoo info`."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Name of a model; `dropzoo list` shows them all."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print JSON instead of text."""


def main(argv: Sequence[str] | None = None) -> int:
    """Prints one model's record.

    Args:
        argv: Words of the command line after the verb. `None` reads
            `sys.argv[1:]`.

    Returns:
        0, the exit status.

    Raises:
        ValueError: When the catalogue has no such model.
    """
    config = parse(
        Config,
        argv,
        prog="dropzoo info",
        description="Tell everything about one model.",
    )
    spec = model_info(config.name)
    if config.json:
        print(json.dumps(describe(spec), indent=2))
        return 0
    print(_render(spec), end="")
    return 0


def describe(spec: ModelSpec) -> dict[str, Any]:
    """Turns a model's record into what JSON can hold.

    Args:
        spec: Record of the catalogue.

    Returns:
        The record's fields, less its functions, and for each of its weights
        whether the file is `installed` here.
    """
    record = {
        field.name: _plain(getattr(spec, field.name))
        for field in dataclasses.fields(spec)
        if not callable(getattr(spec, field.name))
    }
    for weights, described in zip(spec.weights, record["weights"], strict=True):
        described["installed"] = weights.find_file() is not None
    return record


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value if not callable(item)]
    return value


def _render(spec: ModelSpec) -> str:
    sections = [(spec.name, _facts(spec))]
    for weights in spec.weights:
        title = f"\n{spec.name}.{weights.tag}"
        sections.append((title, _weights_facts(weights)))
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with console.capture() as text:
        for title, facts in sections:
            console.print(title, style="bold")
            for label, value in facts:
                console.print(f"  {label:14}{value}")
    return text.get()


def _facts(spec: ModelSpec) -> list[tuple[str, str]]:
    side = spec.input_size
    colours = "RGB" if spec.channels == 3 else "grey"
    normalise = spec.preprocessing
    return [
        ("parameters", f"{spec.parameters:,} with {spec.num_classes} classes"),
        ("input", f"{side} x {side} {colours}, raw values in [0, 255]"),
        ("normalisation", f"(x - {normalise.mean}) / {normalise.scale}"),
        ("levels", ", ".join(spec.levels)),
        ("crop", f"{normalise.crop:.1%} of the shorter side, centred"),
        *(
            ("takes no", f"{option}, because {reason}")
            for option, reason in spec.lacks.items()
        ),
        ("paper", spec.reference),
        ("weights", ", ".join(w.tag for w in spec.weights) or "none"),
    ]


def _weights_facts(weights: Weights | KerasWeights) -> list[tuple[str, str]]:
    reported = weights.accuracy_reported
    installed = weights.find_file() is not None
    checksum = ("SHA-256", weights.sha256)
    if isinstance(weights, KerasWeights) and not weights.sha256:
        checksum = ("MD5", weights.md5 or "none: Keras publishes none")
    return [
        ("classes", str(weights.num_classes)),
        ("top-1", "not reported" if reported is None else f"{reported:.1%}"),
        ("measured here", weights.accuracy_measured or "not yet"),
        ("licence", weights.licence),
        ("origin", weights.origin),
        ("installed", "yes" if installed else f"no: {weights.install_command}"),
        checksum,
    ]
