"""All trials in one picture: an upright axis for each parameter."""

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from dropzoo.evaluation.report_markup import Child, element
from dropzoo.evaluation.report_tables import scrolling

from .parameter_axis import ABSENT, ParameterAxis, axis_of, short
from .score_axis import score_axis
from .search_record import SearchRecord, is_scored, score_of
from .trial_record import TrialRecord

TOP, HEIGHT, MARGIN = 58, 280, 16
NARROWEST, LETTER = 640, 6.9  # units across, and of a letter
LONGEST_NAME = 28


class Upright(NamedTuple):
    """An axis and where it stands, in units from the left."""

    axis: ParameterAxis
    x: float


def parallel_section(record: SearchRecord) -> list[Element]:
    """Draws a line for each trial, from its settings to its score."""
    if not record.trials or not record.parameters:
        return []
    axes = [axis_of(p, record.trials) for p in record.parameters]
    uprights, width = _side_by_side([*axes, score_axis(record)])
    drawn = element(
        "svg",
        [_axis(upright, i % 2 == 1) for i, upright in enumerate(uprights)],
        _lines(record, uprights),
        [_labels(upright) for upright in uprights],
        viewBox=f"0 0 {width:g} {TOP + HEIGHT + 12}",
        style=f"min-width:{width:g}px;max-width:{1.4 * width:g}px",
        role="img",
        aria_label=f"The settings of {len(record.trials)} trials and their "
        f"{record.objective}. The table of all trials has the numbers.",
        class_="parallel",
    )
    return [_legend(record), scrolling(drawn, "All trials in one picture")]


def _side_by_side(
    axes: Sequence[ParameterAxis],
) -> tuple[list[Upright], float]:
    """Gives each axis room for its numbers, left of it, and for its name."""
    names = [LETTER * len(_name(axis)) for axis in axes]
    # Names stand on two levels in turn, so that each may take two places.
    rooms = [
        max(_widest_tick(axis) + 26, name / 2 + 8, 56.0)
        for axis, name in zip(axes, names, strict=True)
    ]
    rooms[0] = max(rooms[0], names[0] / 2 + 4)
    end = names[-1] / 2 + MARGIN
    stretch = max(1.0, (NARROWEST - end - rooms[0]) / sum(rooms[1:]))
    places: list[Upright] = []
    x = 0.0
    for axis, room in zip(axes, rooms, strict=True):
        x += room * stretch if places else room
        places.append(Upright(axis, round(x, 1)))
    return places, round(x + end)


def _name(axis: ParameterAxis) -> str:
    return short(axis.parameter.name, LONGEST_NAME)


def _widest_tick(axis: ParameterAxis) -> float:
    return LETTER * max(len(text) for _, text in axis.ticks())


def _y(share: float) -> float:
    return round(TOP + HEIGHT * (1 - share), 1)


def _axis(upright: Upright, raised: bool) -> list[Element]:
    axis, x = upright
    return [
        element("line", x1=x, y1=_y(0), x2=x, y2=_y(1), class_="upright"),
        element(
            "text",
            _name(axis),
            element("title", axis.parameter.name),
            x=x,
            y=TOP - (32 if raised else 14),
            text_anchor="middle",
            class_="name",
        ),
    ]


def _labels(upright: Upright) -> list[Element]:
    """Names the values, above the lines that pass behind them."""
    axis, x = upright
    return [
        element("text", text, x=x - 6, y=_y(share) + 4, text_anchor="end")
        for share, text in axis.ticks()
    ]


def _lines(record: SearchRecord, uprights: Sequence[Upright]) -> list[Element]:
    """Draws the trials without a score, then the others, the best on top."""
    scored = record.scored
    others = [trial for trial in record.trials if not is_scored(trial)]
    last = max(len(scored) - 1, 1)
    return [
        *(_line(trial, uprights, None, -1.0) for trial in others),
        *(
            _line(trial, uprights, 1 - rank / last, 1 - 2 * rank / last)
            for rank, trial in reversed(list(enumerate(scored)))
        ),
    ]


def _line(
    trial: TrialRecord,
    uprights: Sequence[Upright],
    share: float | None,
    spread: float,
) -> Element:
    """Draws a trial; `share` is 1 for the best and 0 for the worst."""
    *settings, (scores, right) = uprights
    places = [
        (x, axis.place(trial.values.get(axis.parameter.name), spread))
        for axis, x in settings
    ]
    score = trial.score if is_scored(trial) else None
    places.append((right, scores.place(score)))
    told = "no score" if score is None else f"{score_of(trial):.4g}"
    return element(
        "polyline",
        element("title", f"Trial {trial.trial_id}: {told}"),
        points=" ".join(f"{x:g},{_y(share):g}" for x, share in places),
        style=None if share is None else f"--share:{share:.3f}",
        class_="trial failed" if share is None else "trial",
    )


def _legend(record: SearchRecord) -> Element:
    lacking = any(
        parameter.name not in trial.values
        for trial in record.trials
        for parameter in record.parameters
    )
    absent = f"{ABSENT} stands for a parameter that a trial does not have. "
    return element(
        "p",
        _ramp(record),
        "Dashed lines have no score. " if record.failed else None,
        absent if lacking else None,
        class_="soft",
    )


def _ramp(record: SearchRecord) -> list[Child]:
    if len(record.scored) < 2:
        return []
    best, worst = score_of(record.scored[0]), score_of(record.scored[-1])
    return [
        f"{record.objective}, coloured by rank: {worst:.4g} ",
        element("i", class_="ramp"),
        f" {best:.4g}. ",
    ]
