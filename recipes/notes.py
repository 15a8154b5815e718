"""Runs the experiments of the course notes behind this project.

    dropzoo notes
    dropzoo notes losses

Each shows with real code what such notes show on paper: it prints a table,
draws a picture and says in three sentences what to see. Without a name the
experiments are listed; `all` runs all of them. docs/notes.md shows what comes
out.

Papers: the notes of Stanford's CS231n, Nielsen's "Neural Networks and Deep
Learning", 2015, and those that each experiment names. Hardware and time: two
processor cores, seconds to a minute each, offline. Measured accuracy: none,
the experiments are small on purpose.

The options worth changing: `--seed`, to see what was luck; `--out`.
"""

import dataclasses
import difflib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from dropzoo.recipes.options import parse
from dropzoo.recipes.quiet_start import quiet_start

NOTES = {
    "initialisation": "first weights, activations and gradients over depth",
    "losses": "what the squared error and cross-entropy teach a neuron",
    "optimisers": "paths down a canyon and past a saddle",
    "preprocessing": "features, images and labels on the scale of a network",
    "activations": "seven functions on one task, and the units that die",
    "regularisation": "eight ways on a task that is learned by heart",
    "convolution": "convolution and pooling by hand, forwards and backwards",
    "search": "coarse, then fine, and at random rather than on a grid",
    "babysitting": "what to look at before and while a network learns",
    "batch-size": "time, memory, noise, and when to stop",
}
ALL = "all"


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the experiments."""

    name: Annotated[
        tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[NAME]")
    ] = None
    """The experiment, or `all`. Default: lists them."""
    out: str = "notes"
    """Folder of the pictures, PNG files named after the experiments."""
    seed: int = 0
    """Seed of data, first weights and order."""

    def __post_init__(self) -> None:
        if self.name not in (None, ALL, *NOTES):
            close = difflib.get_close_matches(str(self.name), NOTES, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise ValueError(
                f"notes: `NAME` must be an experiment; {hint}there are "
                f"{', '.join(NOTES)} and {ALL}. Received: NAME={self.name!r}"
            )
        if not 0 <= self.seed < 2**31:
            raise ValueError(
                "notes: `seed` must be in [0, 2**31). "
                f"Received: seed={self.seed!r}"
            )


def run(config: Config) -> dict[str, Path]:
    """Runs experiments, and prints what each comes to.

    Args:
        config: The options.

    Returns: The picture of each experiment.

    Raises:
        ValueError: An option breaks its rule.
        RuntimeError: Keras runs on another backend than TensorFlow, whose
            gradients some experiments look at.
        OSError: A picture cannot be written.
    """
    # Imported here: `dropzoo notes --help` needs no TensorFlow.
    import keras

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "notes: Keras's backend must be tensorflow, whose gradients some "
            f"experiments look at. Received: {keras.backend.backend()}; run "
            "the command with KERAS_BACKEND=tensorflow"
        )
    names = list(NOTES) if config.name == ALL else [config.name or ALL]
    return {name: _run_one(name, config) for name in names if name in NOTES}


def _run_one(name: str, config: Config) -> Path:
    import keras

    from dropzoo.recipes.note import drawing_style

    experiment = importlib.import_module(
        f"dropzoo.recipes.notes_{name.replace('-', '_')}"
    )
    keras.utils.set_random_seed(config.seed)
    path = Path(config.out) / f"{name}.png"
    print(f"{name}: {NOTES[name]}\n")
    with drawing_style():
        experiment.note(config.seed).show(path)
    print()
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the recipe from the command line.

    Args:
        argv: Words of the command line after the verb. `None` reads
            `sys.argv[1:]`.

    Returns: 0, the exit status.
    """
    config = parse(
        Config,
        argv,
        prog="dropzoo notes",
        description="Run the experiments of the course notes.",
    )
    if config.name is None:
        _list()
        return 0
    quiet_start()
    run(config)
    return 0


def _list() -> None:
    from dropzoo.recipes.output_table import new_table, print_table

    table = new_table("experiment", "what it shows")
    for name, summary in NOTES.items():
        table.add_row(name, summary)
    print_table(table)
    print("\n`dropzoo notes NAME` runs one, `dropzoo notes all` all of them.")
