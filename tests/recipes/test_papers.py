"""What the papers publish, by their names in the catalogue and their rates."""

from pathlib import Path

import numpy as np
import pytest

from dropzoo.data.augmented_batches import CHANGES
from dropzoo.models import model_info
from dropzoo.models.option_matrix import options
from dropzoo.recipes.paper_table import paper_table
from dropzoo.recipes.papers import NO_PAPER, PAPERS

EVERY = {**PAPERS, "none": NO_PAPER}
every_paper = pytest.mark.parametrize("name", EVERY)


def rate(name: str, epoch: float, steps_in_epoch: int = 10) -> float:
    """The rate that a paper has after some epochs."""
    paper = EVERY[name]
    schedule = paper.schedule(paper.rate, paper.epochs * steps_in_epoch)
    return float(schedule(round(epoch * steps_in_epoch)))


@every_paper
def test_options_and_changes_exist(name):
    paper = EVERY[name]
    known = set(options(model_info(paper.model)))
    assert known >= {*paper.options, *paper.smaller(0.1)}
    assert set(CHANGES) >= set(paper.augmentation)
    assert paper.epochs % paper.cycles == 0


@every_paper
def test_the_whole_budget_is_the_network_of_the_paper(name):
    paper = EVERY[name]
    published = {**model_info(paper.model).kwargs, **paper.options}
    for option, value in paper.smaller(1.0).items():
        assert value == published.get(option, value)


@every_paper
def test_a_smaller_budget_makes_a_smaller_network(name):
    paper = EVERY[name]
    whole, small = paper.smaller(1.0), paper.smaller(0.1)
    assert whole.keys() == small.keys()
    for option, value in small.items():
        assert np.all(np.less(value, whole[option]))
        assert np.all(np.greater_equal(value, 1))


def test_depth_grows_with_the_work_and_width_with_its_root():
    assert PAPERS["stochastic-depth"].smaller(0.5) == {"depth": 56}
    assert PAPERS["snapshot"].smaller(0.25) == {"growth": 6}
    assert PAPERS["dropconnect"].smaller(0.25) == {
        "filters": (16, 32),
        "units": (75,),
    }


@pytest.mark.parametrize(
    ("name", "epoch", "expected"),
    [
        ("stochastic-depth", 0, 0.1),
        ("stochastic-depth", 249.9, 0.1),
        ("stochastic-depth", 250, 0.01),
        ("stochastic-depth", 374.9, 0.01),
        ("stochastic-depth", 375, 0.001),
        ("snapshot", 0, 0.2),
        ("snapshot", 25, 0.1),
        ("snapshot", 50, 0.2),
        ("fractional-max-pooling", 100, 0.003 * np.exp(-0.5)),
        ("dropconnect", 699.9, 0.01),
        ("dropconnect", 700, 0.005),
        ("dropconnect", 900, 0.001),
        ("dropconnect", 1100, 0.0005),
        ("dropconnect", 1499, 0.00001),
        ("stochastic-pooling", 140, 0.01 * 0.505),
        ("stochastic-pooling", 280, 0.0001),
        ("maxout", 250, 0.0085 * 0.505),
    ],
)
def test_the_rate_is_the_published_one(name, epoch, expected):
    np.testing.assert_allclose(rate(name, epoch), expected, rtol=1e-4)


@every_paper
def test_a_schedule_shrinks_to_a_few_steps(name):
    paper = EVERY[name]
    updates = 2 * paper.cycles
    schedule = paper.schedule(paper.rate, updates)
    rates = [float(schedule(step)) for step in range(updates)]
    assert max(rates) <= paper.rate * (1 + 1e-6)
    assert min(rates) >= 0


def test_the_page_has_the_table_of_the_papers():
    page = Path(__file__).resolve().parents[2] / "docs" / "training.md"
    assert paper_table() in page.read_text(encoding="utf-8")
