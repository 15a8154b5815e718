"""The table of the zoo: what each network is, and what it costs here.

    python benchmarks/zoo.py
    python benchmarks/zoo.py --models "resnet*" --batch-size 32
    python benchmarks/zoo.py --matrix

Prints a table in Markdown, which stands in docs/zoo.md: parameters, FLOPs (two
for each multiplication with its addition) of one image at inference, input,
levels of resolution, weights and their licence, residual additions that `graft`
can drop, and images per second at inference and in training.

Each network is built with random weights in a process of its own. Times are
medians over `--rounds` batches of noise, after one that warms up; training is
one step of SGD. Results are written to `--out` after each network, and what
is there already is not measured again. A network that takes longer than
`--limit` seconds is stopped, and the table says so where results are missing; a
longer limit measures it again.

With `--matrix` it prints which network takes which option instead.
"""

import dataclasses
import fnmatch
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tyro

from dropzoo.models import list_models, model_info
from dropzoo.models.catalogue import CATALOGUE
from dropzoo.models.option_matrix import option_matrix
from dropzoo.models.spec import ModelSpec

COLUMNS = (
    "network",
    "parameters",
    "FLOPs",
    "input",
    "levels",
    "weights",
    "licence",
    "residual additions",
    "images/s, inference",
    "images/s, training",
)
MARK = "measured: "  # begins the line of results that a process prints


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    models: str = "*"
    """Shell pattern of the names."""
    batch_size: int = 16
    """Images in a batch."""
    rounds: int = 5
    """Batches that are timed, of each kind."""
    limit: float = 120
    """Seconds that a network may take in all."""
    out: Path = Path("runs/benchmark-zoo.json")
    """File of what was measured."""
    matrix: bool = False
    """Print which network takes which option, and measure nothing."""
    alone: bool = False
    """Measure the one network named by `--models` in this process."""


def measure(name: str, config: Config) -> None:
    """Prints what a network is, then its times, a line each.

    What takes longest comes last, so that a stopped process leaves the rest.
    """
    import keras

    from dropzoo.models import create_model
    from dropzoo.models.multiply_adds import multiply_adds
    from dropzoo.models.residual_additions import find_residual_additions

    def say(**results: float) -> None:
        print(MARK + json.dumps(results), flush=True)

    model = create_model(name)
    say(
        flops=2 * multiply_adds(model),
        additions=len(find_residual_additions(model)),
    )
    model.compile(
        keras.optimizers.SGD(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # XLA takes many minutes for a deep network on a CPU. JAX needs it.
        jit_compile=keras.backend.backend() == "jax",
    )
    images, labels = noise(model, config.batch_size)
    predict = rate(lambda: model.predict_on_batch(images), config)
    say(inference=predict)
    say(training=rate(lambda: model.train_on_batch(images, labels), config))


def noise(model: Any, count: int) -> tuple[Any, Any]:
    """Images of random pixels, and their labels."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (count, *model.input_shape[1:]))
    labels = rng.integers(model.output_shape[-1], size=count)
    return images.astype("float32"), labels


def rate(step: Callable[[], object], config: Config) -> float:
    """Images per second, by the median time of a step."""
    step()
    seconds = []
    for _ in range(config.rounds):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return config.batch_size / sorted(seconds)[len(seconds) // 2]


def measure_apart(name: str, config: Config) -> dict[str, Any]:
    """Measures a network in a process of its own, up to the limit."""
    command = [sys.executable, __file__, "--alone", "--models", name]
    for option in ("batch_size", "rounds"):
        flag = f"--{option.replace('_', '-')}"
        command += [flag, str(getattr(config, option))]
    results: dict[str, Any] = {}
    try:
        run = subprocess.run(command, capture_output=True, timeout=config.limit)
        output = run.stdout
        if run.returncode:
            sys.stderr.buffer.write(run.stderr)
            results["failed"] = True
    except subprocess.TimeoutExpired as stop:
        output, results["limit"] = stop.stdout or b"", config.limit
    for line in output.decode().splitlines():
        if line.startswith(MARK):
            results |= json.loads(line.removeprefix(MARK))
    return results


def measure_all(names: list[str], config: Config) -> dict[str, Any]:
    """Measures what is missing, and keeps each result at once."""
    kept = json.loads(config.out.read_text()) if config.out.is_file() else {}
    results = kept.setdefault(describe(config), {})
    config.out.parent.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, start=1):
        if is_done(results.get(name), config):
            continue
        print(f"{number} of {len(names)}: {name}", file=sys.stderr, flush=True)
        results[name] = measure_apart(name, config)
        config.out.write_text(json.dumps(kept, indent=1))
    return results


def is_done(results: dict[str, Any] | None, config: Config) -> bool:
    """Whether a network need not be measured again."""
    if results is None or results.get("failed"):
        return False
    return results.get("limit", config.limit) >= config.limit


def describe(config: Config) -> str:
    """What must be equal for times to be compared."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    return (
        f"{backend}, {os.cpu_count()} cores, batches of {config.batch_size}, "
        f"median of {config.rounds}"
    )


def row(spec: ModelSpec, results: dict[str, Any]) -> list[str]:
    """What the catalogue knows of a network, and what was measured."""
    missing = "failed" if results.get("failed") else "-"
    if "limit" in results:
        missing = f"stopped after {results['limit']:g} s"
    strides = [level.removeprefix("stride_") for level in spec.levels]
    return [
        f"`{spec.name}`",
        f"{spec.parameters:,}",
        count(results["flops"]) if "flops" in results else missing,
        f"{spec.input_size}x{spec.input_size}x{spec.channels}",
        " ".join(strides),
        ", ".join(weights.tag for weights in spec.weights) or "-",
        ", ".join(sorted({x.licence for x in spec.weights})) or "-",
        str(results.get("additions", missing)),
        *(
            f"{results[kind]:,.1f}" if kind in results else missing
            for kind in ("inference", "training")
        ),
    ]


def count(flops: int) -> str:
    """Operations in millions or in billions."""
    unit, letter = (1e9, "G") if flops >= 1e9 else (1e6, "M")
    return f"{flops / unit:.2f} {letter}"


def print_table(names: list[str], results: dict[str, Any]) -> None:
    """Prints the table in Markdown."""
    rows = [row(model_info(name), results.get(name, {})) for name in names]
    for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows):
        print(f"| {' | '.join(cells)} |")


def main(config: Config) -> None:
    """Prints the matrix, or measures what is missing and prints the table."""
    if config.matrix:
        specs = CATALOGUE.items()
        chosen = [s for n, s in specs if fnmatch.fnmatchcase(n, config.models)]
        print(option_matrix(chosen))
        return
    if config.alone:
        measure(config.models, config)
        return
    names = list_models(config.models)
    results = measure_all(names, config)
    print_table(names, results)
    print(f"\nImages per second: {describe(config)}.")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
