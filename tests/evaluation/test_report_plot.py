import pytest

from dropzoo.evaluation.report_plot import Plot, ticks


def test_the_corners_of_the_data_are_the_corners_of_the_frame():
    plot = Plot((-1.0, 3.0), (10.0, 20.0), height=100, top=5)
    assert (plot.x(-1), plot.x(3)) == (plot.left, plot.right)
    assert (plot.y(10), plot.y(20)) == (105, 5)
    assert plot.x(1) == (plot.left + plot.right) / 2
    assert plot.y(15) == 55


def test_a_bar_covers_its_values_in_either_order():
    plot = Plot((0.0, 1.0), (0.0, 1.0), height=100, top=0)
    for ends in ((0.2, 0.7), (0.7, 0.2)):
        bar = plot.bar((0.0, 1.0), ends, "area")
        assert float(bar.get("y")) == pytest.approx(30)
        assert float(bar.get("height")) == pytest.approx(50)
        assert float(bar.get("width")) == plot.right - plot.left


def test_ticks_are_round_and_within_the_ends():
    assert ticks((0.0, 1.0)) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks((0.0, 1.05e-4)) == pytest.approx(
        [0, 2.5e-5, 5e-5, 7.5e-5, 1e-4]
    )


def test_whole_numbers_get_whole_ticks():
    assert ticks((0.5, 1.5), integer=True) == [1]
    assert ticks((0.5, 3.5), integer=True) == [1, 2, 3]
