"""The score against each parameter."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from dropzoo.evaluation.report_markup import element
from dropzoo.evaluation.report_numbers import plain
from dropzoo.evaluation.report_plot import Plot
from dropzoo.evaluation.report_tables import legend

from .parameter_axis import ParameterAxis, axis_of
from .score_axis import num_beyond, score_axis
from .search_record import SearchRecord, is_scored, score_of
from .trial_record import TrialRecord
from .tuned_parameter import TunedParameter

SIDE = 0.04  # free space left and right of the axis
LETTER = 6.5  # units across
GOLDEN = 0.6180339887  # steps of it spread points evenly


def scatter_section(record: SearchRecord) -> list[Element]:
    """Draws a point for each trial over each parameter."""
    if not record.scored:
        return []
    scores = score_axis(record)
    return [
        *_notes(record, scores),
        stage_legend(record, crosses=bool(record.failed)),
        element(
            "div",
            [_figure(p, scores, record) for p in record.parameters],
            class_="pair",
        ),
    ]


def stage_legend(record: SearchRecord, *, crosses: bool = False) -> Element:
    """Names the colours of the stages.

    Args:
        record: The search.
        crosses: Whether trials without a score are shown, too.
    """
    numbers = sorted({trial.stage for trial in record.trials})
    entries = [(f"stage {n}", f"stage-{n}") for n in numbers]
    if len(entries) == 1:
        entries = [("a trial", "stage-1")]
    without = [("without a score", "failed")] if crosses else []
    return legend([*entries, *without])


def _notes(record: SearchRecord, scores: ParameterAxis) -> list[Element]:
    beyond = num_beyond(scores, record)
    if not beyond:
        return []
    said = f"{beyond} trials are" if beyond > 1 else "1 trial is"
    return [
        element(
            "p",
            f"{said} so much worse than the rest that the axes do not reach "
            "so far; they stand at the edge.",
            class_="soft",
        )
    ]


def _figure(
    parameter: TunedParameter, scores: ParameterAxis, record: SearchRecord
) -> Element:
    axis = axis_of(parameter, record.trials)
    plot = Plot((-SIDE, 1 + SIDE), scores.parameter.ends or (0.0, 1.0), top=10)
    return element(
        "figure",
        element("figcaption", element("bdi", parameter.name)),
        plot.picture(
            f"{record.objective} over {parameter.name} for "
            f"{len(record.trials)} trials.",
            plot.vertical_axis(plain),
            _below(plot, axis),
            list(_points(plot, axis, record)),
        ),
    )


def _below(plot: Plot, axis: ParameterAxis) -> list[Element]:
    """Names the values, those of crowded choices on two levels in turn."""
    named = axis.ticks()
    if axis.parameter.ends is not None:
        label = "logarithmic" if axis.parameter.log else ""
        return plot.named_axis(label, named)
    room = (plot.right - plot.left) / LETTER / len(named)  # in letters
    levels = 1 if max(len(text) for _, text in named) < room else 2
    return [
        element(
            "text",
            _middle_cut(text, round(levels * room) - 1),
            element("title", text),
            x=plot.x(share),
            y=plot.bottom + 17 * (1 + number % levels),
            text_anchor="middle",
        )
        for number, (share, text) in enumerate(named)
    ]


def _middle_cut(text: str, longest: int) -> str:
    """Shortens a name to its ends, by which names of a family differ."""
    if len(text) <= longest:
        return text
    end = max((longest - 1) // 2, 1)
    return f"{text[:end]}\N{HORIZONTAL ELLIPSIS}{text[-end:]}"


def _points(
    plot: Plot, axis: ParameterAxis, record: SearchRecord
) -> Iterator[Element]:
    for number, trial in enumerate(record.trials):
        value = trial.values.get(axis.parameter.name)
        x = axis.place(value, 2 * (GOLDEN * number % 1) - 1)
        if is_scored(trial):
            yield trial_point(plot, x, trial)
        elif trial in record.failed:
            yield _cross(plot.x(x), plot.bottom - 5)


def trial_point(plot: Plot, x: float, trial: TrialRecord) -> Element:
    """Draws a trial at its score, in the colour of its stage.

    Args:
        plot: The frame, whose vertical axis is the score.
        x: Where it stands from left to right.
        trial: The trial.
    """
    score = score_of(trial)
    low, high = plot.y_range
    shown = min(max(score, low), high)
    point = plot.dot(x, shown, f"dot stage-{trial.stage}")
    point.append(element("title", f"Trial {trial.trial_id}: {score:.4g}"))
    return point


def _cross(x: float, y: float) -> Element:
    lines = f"M{x - 3:g} {y - 3:g}l6 6m0 -6l-6 6"
    return element("path", d=lines, class_="failed")
