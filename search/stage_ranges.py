"""Where each stage of a search looked."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from dropzoo.evaluation.report_markup import element
from dropzoo.evaluation.report_numbers import plain
from dropzoo.evaluation.report_tables import (
    Cell,
    folded_table,
    heading_cell,
    word_cell,
    word_heading,
)

from .parameter_axis import ParameterAxis
from .search_record import SearchRecord
from .tuned_parameter import TunedParameter, joined


def stages_section(record: SearchRecord) -> list[Element]:
    """Shows the range of every parameter in every stage."""
    stages = record.stages
    if len(stages) < 2:
        return []
    by_name = [{p.name: p for p in stage.parameters} for stage in stages]
    rows = [
        _row(name, [parameters.get(name) for parameters in by_name])
        for name in dict.fromkeys(name for stage in by_name for name in stage)
        if any(name in stage and stage[name].varies for stage in by_name)
    ]
    headings: list[Cell] = ["Parameter", word_heading("Together")]
    headings += [word_heading(f"Stage {i + 1}") for i in range(len(stages))]
    described = [
        f"Stage {number}: {stage.kind}, {stage.epochs} epochs a trial."
        for number, stage in enumerate(stages, start=1)
    ]
    return [
        element("p", " ".join(described)),
        folded_table(headings, rows, label="Ranges of the stages"),
    ]


def _row(name: str, of_stages: Sequence[TunedParameter | None]) -> list[Cell]:
    known = [parameter for parameter in of_stages if parameter]
    whole = known[0]
    for parameter in known[1:]:
        whole = joined(whole, parameter)
    axis = ParameterAxis(whole)
    bars = [
        element("div", _bars(axis, parameter), class_=f"range stage-{number}")
        for number, parameter in enumerate(of_stages, start=1)
    ]
    return [
        heading_cell(element("bdi", name)),
        element("td", bars, class_="ranges"),
        *(word_cell(_range_text(parameter)) for parameter in of_stages),
    ]


def _bars(
    axis: ParameterAxis, parameter: TunedParameter | None
) -> list[Element]:
    """Marks a range, or each of the choices, on the axis of all stages."""
    if parameter is None:
        return []
    if parameter.ends is None:
        half = 0.45 / len(axis.parameter.choices or (0,))
        spans = [
            (axis.place(choice) - half, axis.place(choice) + half)
            for choice in parameter.choices
        ]
    else:
        low, high = parameter.ends
        spans = [(axis.place(low), axis.place(high))]
    return [
        element(
            "i",
            style=f"left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%",
        )
        for low, high in spans
    ]


def _range_text(parameter: TunedParameter | None) -> str:
    if parameter is None:
        return "\N{EN DASH}"
    if parameter.ends is None:
        return ", ".join(plain(choice) for choice in parameter.choices)
    low, high = parameter.ends
    return f"{plain(low)} to {plain(high)}"
