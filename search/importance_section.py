"""What a report says about the importance of the parameters."""

from xml.etree.ElementTree import Element

from dropzoo.evaluation.report_markup import element
from dropzoo.evaluation.report_numbers import percent
from dropzoo.evaluation.report_tables import (
    Cell,
    bar_cell,
    folded_table,
    heading_cell,
    word_heading,
)

from .parameter_importance import (
    FEWEST_TRIALS,
    LEAST_R2,
    Importance,
    parameter_importance,
)
from .search_record import SearchRecord

LEAST_SHARE = 0.01


def importance_section(record: SearchRecord) -> list[Element]:
    """Says which parameters decided, and how sure that is."""
    if not record.scored:
        return []
    importance = parameter_importance(record)
    told = element("p", how_sure(importance))
    if not importance.shares:
        return [told]
    rows: list[list[Cell]] = [
        [heading_cell(element("bdi", name)), _share(share)]
        for name, share in importance.shares.items()
    ]
    headings: list[Cell] = ["Parameter", word_heading("Importance")]
    return [
        told,
        element(
            "div",
            folded_table(headings, rows, label="Importance of parameters"),
            class_="importance",
        ),
    ]


def how_sure(importance: Importance) -> str:
    """Says what the importance rests on.

    Args:
        importance: The importance.
    """
    number, r2 = importance.num_trials, importance.r2
    if r2 is None:
        return (
            f"{number} trials with a score are too few to say which parameter "
            f"mattered; at least {FEWEST_TRIALS} are needed."
        )
    if not importance.shares:
        return (
            f"From the settings of {number} trials a random forest predicts "
            f"the rank of other trials hardly better than their mean does "
            f"(out-of-bag R\N{SUPERSCRIPT TWO} {r2:.2f}, at least {LEAST_R2:g} "
            "is asked for), so nothing is said about what mattered."
        )
    return (
        f"A random forest on {number} trials predicts {percent(r2, 0)} of the "
        "variance of the ranks of trials that it has not seen (out-of-bag "
        f"R\N{SUPERSCRIPT TWO} {r2:.2f}). Importance is the share of the "
        "variance that depends on a parameter, alone or with others: half of "
        "what the squared error on held-out trials rises by when its values "
        f"are shuffled among them. {_trust(number, r2)}"
    )


def _trust(number: int, r2: float) -> str:
    if r2 >= 0.5 and number >= 50:
        return "The first places can be relied on."
    return "Take it as a hint: other trials may change the order."


def _share(share: float) -> Element:
    if share < LEAST_SHARE:
        return element("td", "none seen", class_="words soft")
    return bar_cell(min(share, 1.0), 0)
