"""Measures the finished model and keeps everything a person needs."""

import csv
import dataclasses
import platform
from importlib.metadata import version
from typing import Any

import keras
import numpy as np

from dropzoo.data import ImageData
from dropzoo.evaluation import (
    Comparison,
    DataSummary,
    Metrics,
    Mistake,
    ReportContent,
    confident_mistakes,
    evaluate_probabilities,
    write_report,
)
from dropzoo.evaluation.probe import Probe
from dropzoo.models.atomic_write import atomic_write
from dropzoo.models.preprocessing import raw_input_model
from dropzoo.models.starting_point import StartingPoint
from dropzoo.recipes.fine_tuning import FineTuning
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.scoring import log_probabilities
from dropzoo.recipes.steps import Steps
from dropzoo.recipes.verdict import Verdict

PACKAGES = ("dropzoo", "keras", "tensorflow", "numpy", "scikit-learn", "pillow")


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What the test photos say.

    Args:
        final: Figures of the kept model; `None` without test photos.
        head: Figures of the head on frozen features.
        probabilities: Of the kept model, `(images, classes)`.
    """

    final: Metrics | None = None
    head: Metrics | None = None
    probabilities: np.ndarray | None = None

    def lines(self) -> list[str]:
        """The headline figures in sentences."""
        if self.final is None or self.head is None:
            return ["There are no test photos, so nothing was measured."]
        low, high = self.final.accuracy_interval
        return [
            f"Test accuracy {self.final.accuracy:.1%} "
            f"(95 % interval {low:.1%} to {high:.1%}), "
            f"head alone {self.head.accuracy:.1%}."
        ]


def measure(
    tuning: FineTuning,
    probe: Probe,
    helps: bool,
    data: ImageData,
    steps: Steps,
) -> Outcome:
    """Measures the kept model and the head alone on the test photos.

    Args:
        tuning: Holds the network, with the weights that are kept.
        probe: The head on frozen features.
        helps: Whether the kept weights are the fine-tuned ones.
        data: The photos.
        steps: Where progress is shown.

    Returns: The figures. The network is left as it was.
    """
    if data.test is None:
        return Outcome()
    network = tuning.network
    with steps.bar("test photos", len(data.test) * (1 + helps)) as bar:
        final = np.exp(log_probabilities(tuning.scorer, data.test, bar.advance))
        head = final
        if helps:
            kept = network.get_weights()
            tuning.put_back(probe.head)
            head = np.exp(
                log_probabilities(tuning.scorer, data.test, bar.advance)
            )
            network.set_weights(kept)
    labels, names = data.test.labels, data.class_names
    return Outcome(
        final=evaluate_probabilities(labels, final, names),
        head=evaluate_probabilities(labels, head, names),
        probabilities=final,
    )


def keep_model(
    folder: RunFolder, network: keras.Model, data: ImageData
) -> None:
    """Writes `model.keras`, from raw photos to probabilities, and its labels.

    Args:
        folder: The run.
        network: From resized photos to logits.
        data: The photos.

    Raises: RuntimeError when the file, loaded again, does not give what the
        network gives.
    """
    keep_raw_input_model(folder, raw_input_model(network), data)


def keep_raw_input_model(
    folder: RunFolder, model: keras.Model, data: ImageData
) -> None:
    """Writes `model.keras` and its labels, as `keep_model` does.

    Args:
        folder: The run.
        model: From raw photos of any size to probabilities.
        data: The photos.

    Raises: RuntimeError when the file, loaded again, does not give what the
        model gives.
    """
    photo = data.train.read(0)[np.newaxis]  # (1, height, width, 3)
    expected = np.asarray(model(photo))
    with atomic_write(folder.path / "model.keras") as part:
        model.save(part)
        again = keras.saving.load_model(part, compile=False)
        difference = float(np.abs(np.asarray(again(photo)) - expected).max())
        if not difference <= 1e-4:
            raise RuntimeError(
                f"{folder.verb}: the saved model differs from the trained one "
                f"by {difference:.2g}; nothing was kept."
            )
    folder.write_json("labels.json", list(data.class_names))


def keep_report(
    folder: RunFolder,
    *,
    command: str,
    config: dict[str, Any],
    data: ImageData,
    start: StartingPoint,
    rates: dict[str, np.ndarray],
    verdict: Verdict,
    history: list[dict[str, float]],
    outcome: Outcome,
    timings: list[tuple[str, float]],
) -> None:
    """Writes `history.csv`, `report.html` and, last, `metrics.json`.

    A folder with `metrics.json` is complete.
    """
    rows = [
        {"epoch": number, "phase": "fine-tune", **logs}
        for number, logs in enumerate(history, start=1)
    ]
    write_history(folder, rows)
    versions = installed_versions()
    content = ReportContent(
        title=f"{data.name}: {len(data.class_names)} classes",
        class_names=data.class_names,
        summary=[*outcome.lines(), verdict.sentence()],
        command=command,
        data=DataSummary.from_findings(data.findings),
        history=rows,
        learning_rates=rates,
        comparison=_comparison(verdict),
        metrics=outcome.final,
        probe_metrics=outcome.head,
        mistakes=worst_mistakes(data, outcome.probabilities),
        timings=timings,
        model=start.facts,
        config=config,
        versions=versions | {"backend": keras.backend.backend()},
    )
    write_report(folder.path / "report.html", content)
    folder.write_json(
        "metrics.json",
        {
            "verdict": dataclasses.asdict(verdict),
            "test": outcome.final and outcome.final.to_dict(),
            "test_head_only": outcome.head and outcome.head.to_dict(),
            "data": data.findings.to_dict(),
            "model": start.facts,
            "seconds": dict(timings),
            "versions": versions,
        },
    )


def installed_versions() -> dict[str, str]:
    """Versions of what a run rests on, by name."""
    versions = {name: version(name) for name in PACKAGES}
    return versions | {"python": platform.python_version()}


def write_history(folder: RunFolder, rows: list[dict[str, Any]]) -> None:
    """Writes `history.csv`.

    Args:
        folder: The run.
        rows: Of each epoch its number, its phase and its logs.
    """
    names = ["epoch", "phase", "loss", "accuracy", "val_loss", "val_accuracy"]
    with atomic_write(folder.path / "history.csv") as part:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


def _comparison(verdict: Verdict) -> Comparison | None:
    if verdict.tuned_accuracy is None:
        return None
    return Comparison(
        scores={
            "head only": verdict.head_accuracy,
            "fine-tuned": verdict.tuned_accuracy,
        },
        kept="fine-tuned" if verdict.helps else "head only",
        reason=verdict.sentence(),
    )


def worst_mistakes(
    data: ImageData, probabilities: np.ndarray | None
) -> list[Mistake]:
    """The most confident mistakes on the test photos, the surest first.

    Args:
        data: The photos.
        probabilities: Of the kept model on the test photos, `(images,
            classes)`; `None` where there are none.
    """
    test = data.test
    if test is None or probabilities is None:
        return []
    return [
        Mistake(
            image=test.read(row),
            name=test.names[row],
            true_class=data.class_names[test.labels[row]],
            predicted_class=data.class_names[probabilities[row].argmax()],
            probability=float(probabilities[row].max()),
        )
        for row in confident_mistakes(test.labels, probabilities)
    ]
