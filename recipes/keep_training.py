"""Measures a network that a recipe trained, once, and keeps it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from dropzoo.data import ImageData
from dropzoo.evaluation import (
    DataSummary,
    Metrics,
    ReportContent,
    evaluate_probabilities,
    write_report,
)
from dropzoo.models import model_info
from dropzoo.models.portability import why_not_portable
from dropzoo.models.stripping import strip_training_layers
from dropzoo.recipes.keeping import (
    installed_versions,
    keep_model,
    worst_mistakes,
    write_history,
)
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.scoring import log_probabilities
from dropzoo.recipes.steps import Steps
from dropzoo.recipes.training import Trained


@dataclasses.dataclass(frozen=True)
class Story:
    """What a run tells beside its figures.

    Args:
        title: Of the report, behind the name of the photos.
        model: Name of the network in the catalogue.
        weights: Where it started.
        options: How the network was made or trained.
        before: What comes before what the training came to, in a sentence.
        after: Sentences behind that.
        rates: What the learning rates are those of.
        decided: Further fields of `metrics.json`.
    """

    title: str
    model: str
    weights: str
    options: Mapping[str, Any]
    before: str = ""
    after: Sequence[str] = ()
    rates: str = "all layers"
    decided: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def measure_and_keep(
    folder: RunFolder,
    trained: Trained,
    story: Story,
    data: ImageData,
    steps: Steps,
    *,
    command: str,
    config: dict[str, Any],
) -> Metrics | None:
    """Measures the kept network on the test photos and writes the run's files.

    `metrics.json` is written last: a folder that has it is complete.

    Args:
        folder: The run.
        trained: What was trained.
        story: What is told of it.
        data: The photos.
        steps: Where progress is shown.
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
    if why:
        steps.say(why)
    history = [
        {"epoch": number, "phase": "train", **logs}
        for number, logs in enumerate(trained.history, start=1)
    ]
    write_history(folder, history)
    summary = [headline(metrics), story.before, trained.sentence()]
    summary += [*story.after, why]
    content = ReportContent(
        title=f"{data.name}: {story.title}",
        class_names=data.class_names,
        summary=[sentence for sentence in summary if sentence],
        command=command,
        data=DataSummary.from_findings(data.findings),
        history=history,
        learning_rates={story.rates: trained.rates},
        metrics=metrics,
        mistakes=worst_mistakes(data, probabilities),
        timings=steps.seconds,
        model=_facts(trained.network, story),
        config=config,
        versions=installed_versions() | {"backend": keras.backend.backend()},
    )
    write_report(folder.path / "report.html", content)
    folder.write_json(
        "metrics.json", _figures(trained, story, data, metrics, content)
    )
    folder.finish()
    return metrics


def measure(
    network: keras.Model, data: ImageData, steps: Steps
) -> tuple[np.ndarray | None, Metrics | None]:
    """Measures a network on the test photos.

    Args:
        network: It ends in logits.
        data: The photos.
        steps: Where progress is shown.

    Returns: Probabilities `(photos, classes)` and the figures; `None` twice
        without test photos.
    """
    if data.test is None:
        return None, None
    with steps.bar("test photos", len(data.test)) as bar:
        scores = log_probabilities(network, data.test, bar.advance)
    probabilities = np.exp(scores)
    return probabilities, evaluate_probabilities(
        data.test.labels, probabilities, data.class_names
    )


def _figures(
    trained: Trained,
    story: Story,
    data: ImageData,
    metrics: Metrics | None,
    content: ReportContent,
) -> dict[str, Any]:
    """What `metrics.json` holds."""
    kept = trained.history[trained.kept_epoch - 1]
    return {
        **story.decided,
        "kept_epoch": trained.kept_epoch,
        "validation_accuracy": kept.get("val_accuracy"),
        "test": metrics and metrics.to_dict(),
        "data": data.findings.to_dict(),
        "model": content.model,
        "seconds": dict(content.timings),
        "versions": installed_versions(),
    }


def headline(metrics: Metrics | None) -> str:
    """The accuracy in a sentence.

    Args:
        metrics: The figures; `None` without test photos.
    """
    if metrics is None:
        return "There are no test photos, so nothing was measured."
    low, high = metrics.accuracy_interval
    return (
        f"Test accuracy {metrics.accuracy:.2%} (95 % interval {low:.2%} to "
        f"{high:.2%}), an error of {1 - metrics.accuracy:.2%}."
    )


def _facts(network: keras.Model, story: Story) -> dict[str, Any]:
    return {
        "name": story.model,
        "weights": story.weights,
        "reference": model_info(story.model).reference,
        **story.options,
        "parameters": network.count_params(),
        "input": f"{network.input_shape[1]} px",
    }


def not_portable(network: keras.Model) -> str:
    """Which layers need dropzoo to load, and why; empty if none does.

    Args:
        network: A network, or a model of several.
    """
    reasons = why_not_portable(strip_training_layers(network))
    if not reasons:
        return ""
    name, reason = next(iter(reasons.items()))
    others = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return (
        "`import dropzoo.layers` before `model.keras` is loaded: Keras alone "
        f"does not know its layer {name}{others}, because {reason}."
    )
