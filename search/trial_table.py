"""All trials in a table, the best first."""

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from dropzoo.evaluation.report_markup import element
from dropzoo.evaluation.report_numbers import plain, seconds
from dropzoo.evaluation.report_tables import (
    Cell,
    folded_table,
    heading_cell,
    word_cell,
    word_heading,
)

from .search_record import SearchRecord, is_scored, score_of
from .trial_record import TrialRecord

DASH = "\N{EN DASH}"
LONGEST_MESSAGE = 300


def table_section(record: SearchRecord) -> list[Element]:
    """Lists every trial with its settings, those without a score last."""
    scored = record.scored
    rest = [trial for trial in record.trials if not is_scored(trial)]
    if not record.trials:
        return [element("p", "No trial has begun yet.", class_="note")]
    words = _words(record)
    headings: list[Cell] = ["Trial", record.objective, "Stage", "Epochs"]
    headings += ["Time"]
    headings += [
        word_heading(name) if is_word else name
        for name, is_word in words.items()
    ]
    rows = [_row(trial, words) for trial in (*scored, *rest)]
    return [folded_table(headings, rows, label="All trials")]


def sentence(message: str) -> str:
    """Says why a trial failed: of a traceback, what its last line says.

    Args:
        message: What KerasTuner keeps.

    Example:
        >>> sentence("Traceback (...):\\n  line\\nValueError: too large\\n")
        'ValueError: too large'
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    told = lines[-1] if lines else ""
    if len(told) <= LONGEST_MESSAGE:
        return told
    return told[: LONGEST_MESSAGE - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _words(record: SearchRecord) -> dict[str, bool]:
    """The parameters, and whether their values are words."""
    return {
        parameter.name: any(isinstance(v, str) for v in parameter.choices)
        for parameter in record.parameters
    }


def _row(trial: TrialRecord, words: Mapping[str, bool]) -> list[Cell]:
    told = sentence(trial.message) if trial.message else ""
    score = f"{score_of(trial):.5g}" if is_scored(trial) else _state(trial)
    cells: list[Cell] = [
        heading_cell(
            trial.trial_id,
            element("small", element("span", told)) if told else None,
        ),
        score,
        str(trial.stage),
        str(trial.epochs) if trial.epochs else DASH,
        seconds(trial.seconds) if trial.seconds else DASH,
    ]
    for name, is_word in words.items():
        value = trial.values.get(name)
        text = DASH if value is None else plain(value)
        cells.append(word_cell(text) if is_word else text)
    return cells


def _state(trial: TrialRecord) -> Element:
    return element("td", element("span", trial.status.lower(), class_="badge"))
