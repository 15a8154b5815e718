"""The table of parameters in the guide is that of the code."""

from pathlib import Path

import pytest

from dropzoo.search.parameters import PARAMETERS, SCHEDULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "search.md"


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_guide_tells_meaning_and_default(name):
    known = PARAMETERS[name]
    default = str(known.default).replace("None", "the network's own")
    row = f"| `{name}` | {known.meaning} | {default} |"
    assert row in PAGE.read_text(encoding="utf-8")


def test_every_schedule_takes_any_number_of_steps():
    from dropzoo import schedules

    for name in SCHEDULES:
        for steps in (1, 2, 7):
            rate = schedules.get(name, peak=0.5, steps=steps)
            assert 0 <= float(rate(0)) <= 0.5
