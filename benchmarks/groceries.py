"""What fine-tuning reaches on the groceries, beside the usual guide's recipe.

    python benchmarks/groceries.py

Prints the table of the README: accuracy on the 661 test photos and wall time,
for three seeds of `dropzoo finetune` and for the two-phase recipe that Keras's
guide to transfer learning teaches. Every part runs in a process of its own,
one after the other, and is written to `--out` when it is done: a stopped
benchmark goes on where it was.

The guide's recipe is measured on the test photos after each of its epochs, so
as to show its best epoch too, which nobody could have picked. Those
measurements are not counted in its time.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

SEEDS = (0, 1, 2)


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    out: Path = Path("runs/benchmark-groceries")
    """Folder of the parts that are done."""
    part: str | None = None
    """One part only: guide, again, or a seed."""


def run_ours(seed: int) -> dict[str, Any]:
    """Runs `dropzoo finetune` as a new user does, with an empty cache."""
    from dropzoo.recipes import finetune

    folder = Path(os.environ["DROPZOO_CACHE"]) / "run"
    start = time.perf_counter()
    result = finetune.run(finetune.Config(seed=seed, out=str(folder)))
    return {
        "seconds": time.perf_counter() - start,
        "accuracy": result.accuracy,
        "probe": result.probe_accuracy,
        "kept": result.kept,
        "steps": result.seconds,
    }


def run_again(seed: int = 0) -> dict[str, Any]:
    """Times the probe on features that an earlier run has cached."""
    from dropzoo.recipes import finetune

    cache = Path(os.environ["DROPZOO_CACHE"])
    rows = []
    for number in range(2):
        config = finetune.Config(
            seed=seed, freeze="all", out=str(cache / f"run-{number}")
        )
        start = time.perf_counter()
        result = finetune.run(config)
        rows.append(
            {"seconds": time.perf_counter() - start, "steps": result.seconds}
        )
    return {"first": rows[0], "second": rows[1]}


def run_guide() -> dict[str, Any]:
    """Runs the two-phase recipe of Keras's guide to transfer learning."""
    import keras
    import tensorflow as tf

    from dropzoo.data import evaluation_batches, load
    from dropzoo.models import create_model

    keras.utils.set_random_seed(0)
    data = load("groceries")
    base = create_model("efficientnet_lite0", weights="imagenet", num_classes=0)
    size = base.input_shape[1:3]
    images = keras.Input(base.input_shape[1:])
    x = keras.layers.RandomFlip("horizontal")(images)
    x = keras.layers.RandomRotation(0.1)(x)
    # As the guide has it: BatchNorm stays in inference mode when thawed.
    x = base(x, training=False)
    x = keras.layers.Dropout(0.2)(x)
    model = keras.Model(images, keras.layers.Dense(data.num_classes)(x))
    train = evaluation_batches(data.train, size).unbatch().cache()
    train = train.shuffle(len(data.train)).batch(32).prefetch(2)
    # `unbatch` forgets how many there are, and Keras would warn of the end.
    train = train.apply(
        tf.data.experimental.assert_cardinality(-(-len(data.train) // 32))
    )
    validation = evaluation_batches(data.validation, size).cache()
    test = evaluation_batches(data.test, size).cache()

    seconds, accuracies = 0.0, []
    for thawed, epochs, rate in ((False, 20, 1e-3), (True, 10, 1e-5)):
        base.trainable = thawed
        model.compile(
            keras.optimizers.Adam(rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        for _ in range(epochs):
            start = time.perf_counter()
            model.fit(train, validation_data=validation, verbose=0)
            seconds += time.perf_counter() - start
            accuracies.append(model.evaluate(test, verbose=0)[1])
    return {"seconds": seconds, "accuracies": accuracies}


PARTS = {
    "guide": run_guide,
    "again": run_again,
    **{str(seed): lambda seed=seed: run_ours(seed) for seed in SEEDS},
}


def run_part(name: str, out: Path) -> dict[str, Any]:
    """Runs one part in a process of its own, unless it was done before."""
    path = out / f"{name}.json"
    if not path.is_file():
        with tempfile.TemporaryDirectory() as cache:
            subprocess.run(
                [sys.executable, __file__, "--part", name, "--out", str(out)],
                env={**os.environ, "DROPZOO_CACHE": cache},
                check=True,
            )
    return json.loads(path.read_text())


def print_table(parts: dict[str, dict[str, Any]]) -> None:
    """Prints accuracy and time of every part."""
    table = Table("", "test accuracy", "seconds", "kept")
    guide = parts["guide"]
    frozen, thawed = guide["accuracies"][:20], guide["accuracies"][20:]
    table.add_row(
        "guide: at its best epoch", f"{max(guide['accuracies']):.3f}", "", ""
    )
    table.add_row("guide: after the frozen phase", f"{frozen[-1]:.3f}", "", "")
    table.add_row(
        "guide: at its end",
        f"{thawed[-1]:.3f}",
        f"{guide['seconds']:.0f}",
        "",
    )
    runs = [parts[str(seed)] for seed in SEEDS]
    for seed, run in zip(SEEDS, runs, strict=True):
        head = run["steps"]["Probe"]
        table.add_row(
            f"head alone, seed {seed}", f"{run['probe']:.3f}", f"{head:.0f}", ""
        )
        table.add_row(
            f"dropzoo finetune, seed {seed}",
            f"{run['accuracy']:.3f}",
            f"{run['seconds']:.0f}",
            run["kept"],
        )
    accuracies = np.array([run["accuracy"] for run in runs])
    table.add_row(
        "dropzoo finetune, mean of 3",
        f"{accuracies.mean():.3f} ± {accuracies.std(ddof=1):.3f}",
        f"{np.mean([run['seconds'] for run in runs]):.0f}",
        "",
    )
    Console(width=100).print(table)
    for name in ("first", "second"):
        steps = parts["again"][name]["steps"]
        spent = {step: f"{steps[step]:.1f} s" for step in ("Data", "Probe")}
        Console(width=100).print(f"head alone, {name} run: {spent}")


def main(config: Config) -> None:
    """Runs what is missing and prints the table."""
    config.out.mkdir(parents=True, exist_ok=True)
    if config.part is None:
        print_table({name: run_part(name, config.out) for name in PARTS})
        return
    result = PARTS[config.part]()
    path = config.out / f"{config.part}.json"
    path.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
