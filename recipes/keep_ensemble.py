"""Keeps an ensemble of snapshots and everything that was found out about it."""

import dataclasses
from typing import Any

import keras
import numpy as np

from dropzoo.callbacks.snapshot_picture import draw_snapshots
from dropzoo.data import ImageData
from dropzoo.evaluation import (
    DataSummary,
    Metrics,
    ReportContent,
    evaluate_probabilities,
    write_report,
)
from dropzoo.evaluation.members import EnsembleFigures, error_and_loss
from dropzoo.models import model_info
from dropzoo.recipes.keep_training import headline, not_portable
from dropzoo.recipes.keeping import (
    installed_versions,
    keep_raw_input_model,
    worst_mistakes,
    write_history,
)
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.snapshot_answers import SINGLE, Answers, Choice, compare
from dropzoo.recipes.snapshot_members import Members
from dropzoo.recipes.steps import Steps
from dropzoo.recipes.training import Trained
from dropzoo.recipes.training_plan import TrainingPlan


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a training in cycles.

    Args:
        plan: The figures of the training.
        cycles: The training.
        single: One run in one cycle, if there was one.
        members: The snapshots.
        choice: Which of them are kept.
        validation: What was said of the validation photos, if there are any.
        test: What was said of the test photos, if there are any.
    """

    plan: TrainingPlan
    cycles: Trained
    single: Trained | None
    members: Members
    choice: Choice
    validation: Answers | None
    test: Answers | None

    @property
    def trainings(self) -> dict[str, Trained]:
        """The one or two trainings by what a person calls them."""
        single = {} if self.single is None else {SINGLE: self.single}
        return {"cycles": self.cycles, **single}

    @property
    def rates(self) -> np.ndarray:
        """The learning rate of each update in cycles, exactly."""
        updates = len(self.cycles.rates)
        schedule = self.plan.paper.schedule(self.plan.rate, updates)
        return keras.ops.convert_to_numpy(schedule(np.arange(updates)))

    @property
    def history(self) -> list[dict[str, Any]]:
        """The logs of each epoch, with its number and phase."""
        return [
            {"epoch": number, "phase": phase, **logs}
            for phase, trained in self.trainings.items()
            for number, logs in enumerate(trained.history, start=1)
        ]

    @property
    def facts(self) -> dict[str, Any]:
        """What a person wants to know of the kept model."""
        network = self.members.network
        return {
            "name": self.plan.model,
            "networks": self.choice.number,
            "weights": "trained from scratch",
            "reference": model_info(self.plan.model).reference,
            "parameters": self.choice.number * network.count_params(),
            "input": f"{network.input_shape[1]} px",
        }


def keep_ensemble(
    folder: RunFolder,
    outcome: Outcome,
    data: ImageData,
    steps: Steps,
    *,
    command: str,
    config: dict[str, Any],
) -> Metrics | None:
    """Writes the run's files, `metrics.json` last.

    Args:
        folder: The run.
        outcome: What came of it.
        data: The photos.
        steps: Where progress is shown.
        command: What repeats the run.
        config: The options.

    Returns: Figures of the kept model on the test photos, if there are any.
    """
    choice, test = outcome.choice, outcome.test
    probabilities = metrics = None
    if test is not None:
        probabilities = test.together[choice.number - 1]
        metrics = evaluate_probabilities(
            test.labels, probabilities, data.class_names
        )
    with steps.step("Keep"):
        model = outcome.members.together(choice.number)
        keep_raw_input_model(folder, model, data)
    figures = compare(
        outcome.members,
        choice,
        outcome.validation,
        test,
        _picture(folder, outcome),
    )
    summary = [
        line
        for line in (
            headline(metrics),
            _compared(figures),
            not_portable(model),
        )
        if line
    ]
    for line in summary:
        steps.say(line)
    write_history(folder, outcome.history)
    versions = installed_versions()
    content = ReportContent(
        title=f"{data.name}: snapshots of {outcome.plan.model}",
        class_names=data.class_names,
        summary=[*summary, *outcome.plan.notes],
        command=command,
        data=DataSummary.from_findings(data.findings),
        history=outcome.history,
        learning_rates={
            name: trained.rates for name, trained in outcome.trainings.items()
        }
        | {"cycles": outcome.rates},
        ensemble=figures,
        metrics=metrics,
        mistakes=worst_mistakes(data, probabilities),
        timings=steps.seconds,
        model=outcome.facts,
        config=config,
        versions=versions | {"backend": keras.backend.backend()},
    )
    write_report(folder.path / "report.html", content)
    folder.write_json(
        "metrics.json",
        {
            "plan": outcome.plan.to_dict(),
            "ensemble": figures.to_dict(),
            "test": metrics and metrics.to_dict(),
            "data": data.findings.to_dict(),
            "model": outcome.facts,
            "seconds": dict(steps.seconds),
            "versions": versions,
        },
    )
    folder.finish()
    return metrics


def _picture(folder: RunFolder, outcome: Outcome) -> bytes:
    """Draws the rate with the snapshots and their validation errors."""
    answers = outcome.validation
    if answers is None:
        return b""
    path = folder.path / "snapshots.png"
    draw_snapshots(
        path,
        outcome.rates,
        len(outcome.cycles.history),
        [member.epoch for member in outcome.members.members],
        [error_and_loss(x, answers.labels)[0] for x in answers.members],
    )
    return path.read_bytes()


def _compared(figures: EnsembleFigures) -> str:
    """The kept model beside the last snapshot and the single run."""
    tested = {x.name: x.test_error for x in figures.contenders}
    named = [figures.kept, figures.last, SINGLE]
    texts = [
        f"{name} {tested[name]:.2%}"
        for name in dict.fromkeys(named)
        if tested.get(name) is not None
    ]
    return f"Test error: {', '.join(texts)}." if texts else ""
