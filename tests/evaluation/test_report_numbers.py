import numpy as np
import pytest

from dropzoo.evaluation import report_numbers as numbers


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (19.6, "20 s"),
        (59.7, "1 min 0 s"),
        (333.2, "5 min 33 s"),
        (7260, "2 h 1 min"),
    ],
)
def test_durations(duration, text):
    assert numbers.seconds(duration).replace("\xa0", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (np.bool(False), "no"),
        (None, "none"),
        (3389054, "3,389,054"),
        (np.int64(1234), "1,234"),
        (0.5, "0.5"),
        (2.0, "2"),
        (np.float32(0.001), "0.001"),
        (7.5e-5, "7.5e-5"),
        (1e-12, "1e-12"),
        (0.0, "0"),
        (float("nan"), "nan"),
        ("1e-4", "1e-4"),
    ],
)
def test_values(value, text):
    assert numbers.plain(value) == text


def test_shares():
    assert numbers.percent(0.8414) == "84.1\xa0%"
    assert numbers.percent(0.8414, 0) == "84\xa0%"
    assert numbers.percent_tick(0.525) == "52.5\xa0%"
    assert numbers.percent_tick(1.0) == "100\xa0%"


def test_differences_carry_their_sign():
    assert numbers.points(0.0743) == "+7.4 points"
    assert numbers.points(-0.0743) == "\N{MINUS SIGN}7.4 points"
