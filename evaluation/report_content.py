"""What a report tells, before it has a look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .data_summary import DataSummary
from .members import EnsembleFigures
from .metrics import Metrics
from .mistakes import Mistake


@dataclass(frozen=True)
class Comparison:
    """The candidates, and which of them was kept.

    Attributes:
        scores: Accuracy in [0, 1] by candidate, as measured for the choice.
        kept: The candidate that was kept, one of `scores`.
        reason: A sentence: measured on what, and why this one.
    """

    scores: Mapping[str, float]
    kept: str
    reason: str


@dataclass(frozen=True, eq=False)
class ReportContent:
    """Everything that `write_report` shows; what is empty is left out.

    Attributes:
        title: Heading of the page.
        class_names: The classes, in the order of the labels.
        summary: Sentences below the heading.
        command: What to type to repeat the run.
        data: What was found in the data.
        history: One mapping per epoch, over all phases in order, with any of
            `epoch`, `phase`, `loss`, `accuracy`, `val_loss` and
            `val_accuracy`.
        learning_rates: Rate of every optimizer step, by layer group.
        comparison: The candidates, and which of them was kept.
        ensemble: An ensemble beside its members, where the model is one.
        metrics: Figures of the final model, `None` where nothing was left to
            measure it on.
        probe_metrics: Figures of the head on frozen features, measured on
            the same images.
        evaluated_on: Name of the split that both were measured on.
        mistakes: The most confident mistakes, the surest first.
        timings: Pairs of a step and its seconds, in order.
        model: Names and values: name, parameters, weights, licence and so on.
        config: The options of the run, nested groups allowed.
        versions: Versions of the software by name.
    """

    title: str
    class_names: Sequence[str]
    summary: Sequence[str] = ()
    command: str = ""
    data: DataSummary = field(default_factory=DataSummary)
    history: Sequence[Mapping[str, object]] = ()
    learning_rates: Mapping[str, np.ndarray] = field(default_factory=dict)
    comparison: Comparison | None = None
    ensemble: EnsembleFigures | None = None
    metrics: Metrics | None = None
    probe_metrics: Metrics | None = None
    evaluated_on: str = "test"
    mistakes: Sequence[Mistake] = ()
    timings: Sequence[tuple[str, float]] = ()
    model: Mapping[str, object] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
