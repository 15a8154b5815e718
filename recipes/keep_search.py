"""Measures the best model of a search, once, and keeps it."""

from collections.abc import Mapping
from typing import Any

import keras

from dropzoo.data import ImageData
from dropzoo.evaluation import (
    DataSummary,
    Metrics,
    ReportContent,
    write_report,
)
from dropzoo.models import model_info
from dropzoo.recipes.keep_training import headline, measure, not_portable
from dropzoo.recipes.keeping import (
    installed_versions,
    keep_model,
    worst_mistakes,
    write_history,
)
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.steps import Steps
from dropzoo.recipes.training import Trained


def keep_best(
    folder: RunFolder,
    trained: Trained,
    data: ImageData,
    steps: Steps,
    *,
    backbone: str,
    weights: str,
    settings: Mapping[str, Any],
    found: str,
    command: str,
    config: dict[str, Any],
) -> Metrics | None:
    """Measures the kept network on the test photos and writes the run's files.

    `metrics.json` is written last: a folder that has it is complete.

    Args:
        folder: The run.
        trained: What was trained.
        data: The photos.
        steps: Where progress is shown.
        backbone: Name of the network.
        weights: Where it started.
        settings: Of the best trial.
        found: What the search came to, in a sentence.
        command: What repeats the run.
        config: The options.

    Returns: The figures, `None` without test photos.
    """
    with steps.step("Evaluate"):
        # The test photos are used here, once, after every choice is made.
        probabilities, metrics = measure(trained.network, data, steps)
    steps.say(headline(metrics))
    with steps.step("Keep"):
        keep_model(folder, trained.network, data)
    why = not_portable(trained.network)
    history = [
        {"epoch": number, "phase": "train", **logs}
        for number, logs in enumerate(trained.history, start=1)
    ]
    write_history(folder, history)
    summary = [headline(metrics), found, trained.sentence(), why]
    content = ReportContent(
        title=f"{data.name}: the best of a search",
        class_names=data.class_names,
        summary=[sentence for sentence in summary if sentence],
        command=command,
        data=DataSummary.from_findings(data.findings),
        history=history,
        learning_rates={"what is trained": trained.rates},
        metrics=metrics,
        mistakes=worst_mistakes(data, probabilities),
        timings=steps.seconds,
        model={
            "name": backbone,
            "weights": weights,
            "reference": model_info(backbone).reference,
            **settings,
            "parameters": trained.network.count_params(),
            "input": f"{trained.network.input_shape[1]} px",
        },
        config=config,
        versions=installed_versions() | {"backend": keras.backend.backend()},
    )
    write_report(folder.path / "report.html", content)
    kept = trained.history[trained.kept_epoch - 1]
    folder.write_json(
        "metrics.json",
        {
            "settings": dict(settings),
            "kept_epoch": trained.kept_epoch,
            "validation_accuracy": kept["val_accuracy"],
            "test": metrics and metrics.to_dict(),
            "data": data.findings.to_dict(),
            "model": content.model,
            "seconds": dict(steps.seconds),
            "versions": installed_versions(),
        },
    )
    folder.finish()
    return metrics
