"""How the best score grew with the trials and with time."""

from collections.abc import Sequence
from itertools import accumulate
from xml.etree.ElementTree import Element

from dropzoo.evaluation.report_markup import element
from dropzoo.evaluation.report_numbers import plain
from dropzoo.evaluation.report_plot import Plot

from .score_axis import score_axis
from .score_scatter import stage_legend, trial_point
from .search_record import SearchRecord, is_scored, score_of

UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def best_section(record: SearchRecord) -> list[Element]:
    """Draws the best score so far over trials and over time."""
    if not record.scored:
        return []
    ends = [float(i) for i in range(1, len(record.trials) + 1)]
    times = list(accumulate(trial.seconds for trial in record.trials))
    unit, name = next(u for u in UNITS if times[-1] > 3 * u[0] or u[0] == 1)
    hours = [time / unit for time in times]
    return [
        stage_legend(record),
        element(
            "div",
            _figure(record, ends, "trials", 0.5),
            _figure(record, hours, f"{name} spent in trials", 0.0)
            if times[-1]
            else element("p", "How long the trials took is not told."),
            class_="pair",
        ),
    ]


def _figure(
    record: SearchRecord, ends: Sequence[float], label: str, start: float
) -> Element:
    """Draws the trials where they ended, and the best until then."""
    axis = score_axis(record).parameter.ends or (0.0, 1.0)
    right = ends[-1] + (0.5 if start else 0.02 * ends[-1])
    plot = Plot((start, right), axis, top=10)
    best = score_of(record.scored[0])
    return element(
        "figure",
        element("figcaption", f"Best {record.objective} over {label}"),
        plot.picture(
            f"Best {record.objective} so far over {label}: {best:.4g} at the "
            "end.",
            plot.vertical_axis(plain),
            plot.horizontal_axis(label, plain, integer=bool(start)),
            plot.path(_steps(record, ends, axis, right), "line best"),
            [
                trial_point(plot, end, trial)
                for end, trial in zip(ends, record.trials, strict=True)
                if is_scored(trial)
            ],
        ),
    )


def _steps(
    record: SearchRecord,
    ends: Sequence[float],
    axis: tuple[float, float],
    right: float,
) -> list[tuple[float, float]]:
    """The corners of a line that jumps where a trial is the best so far."""
    better = max if record.maximized else min
    corners: list[tuple[float, float]] = []
    for end, trial in zip(ends, record.trials, strict=True):
        if is_scored(trial):
            shown = min(max(score_of(trial), axis[0]), axis[1])
            before = corners[-1][1] if corners else shown
            corners += [(end, before), (end, better(before, shown))]
    return [*corners, (right, corners[-1][1])]
