"""Curves of real trainings with known faults, and of simple formulas."""

import importlib.util
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from dropzoo.callbacks import LossCurve, diagnose

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "curve_diagnosis.py"
T = np.arange(1, 41) / 40  # the end of each epoch


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("curve_diagnosis", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("part", ["tuning", "first_held_out"])
def test_trainings_that_chose_the_rules_are_read_rightly(benchmark, part):
    curves = benchmark.read(part)
    right = [diagnose(curve).fault == truth for truth, _, curve in curves]
    assert np.mean(right) >= 0.9


def test_the_page_shows_what_held_out_trainings_give(benchmark):
    page = BENCHMARK.parents[1] / "docs" / "curve-diagnosis.md"
    assert benchmark.table("held_out") in page.read_text(encoding="utf-8")


def test_healthy_held_out_trainings_raise_no_alarm(benchmark):
    curves = benchmark.read("held_out")
    alarms = [
        diagnose(curve).fault != "healthy"
        for truth, _, curve in curves
        if truth == "healthy"
    ]
    assert (len(curves), len(alarms)) == (80, 20)
    assert np.mean(alarms) <= 0.05


@pytest.mark.slow
def test_curves_made_again_are_read_alike(benchmark):
    setting = next(x for x in benchmark.HELD_OUT if x.data == "rings")
    stored = [x for x in benchmark.read("held_out") if "rings" in x[1]]
    again = list(itertools.islice(benchmark.trainings(setting), 6))
    for (truth, name, curve), entry in zip(stored, again, strict=False):
        assert (entry.pop("truth"), entry.pop("name")) == (truth, name)
        made = LossCurve(**entry)
        assert made.first == pytest.approx(curve.first, rel=1e-3)
        assert diagnose(made).fault == diagnose(curve).fault


CURVES = {
    "healthy": LossCurve(2.3 * np.exp(-9 * T), 2.3 * np.exp(-8 * T)),
    "rate too low": LossCurve(2.3 - 0.5 * T, 2.3 - 0.49 * T),
    "rate too high": LossCurve(1.5 + 0.5 * np.cos(40 * T)),
    "diverging": LossCurve(2.3 * np.exp(5 * T)),
    "overfitting": LossCurve(2.3 * np.exp(-9 * T), 1 + (T - 0.4) ** 2),
    "plateau": LossCurve(1 + 1.3 * np.exp(-60 * T), 1 + 1.4 * np.exp(-60 * T)),
    "underfitting": LossCurve(1 + 1.3 * np.exp(-8 * T)),
    "bad initialisation": LossCurve(2.3 / (1 + np.exp(40 * (T - 0.4)))),
}


@pytest.mark.parametrize("fault", CURVES)
def test_textbook_curves_are_read_rightly(fault):
    assert diagnose(CURVES[fault]).fault == fault


@pytest.mark.parametrize("fault", CURVES)
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_scale_of_the_loss_does_not_matter(fault, factor):
    curve = CURVES[fault]
    scaled = LossCurve(
        factor * np.array(curve.loss), factor * np.array(curve.val_loss)
    )
    assert diagnose(scaled).fault == fault


@pytest.mark.parametrize("lost", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["loss", "val_loss"])
def test_a_lost_loss_is_divergence(lost, name):
    losses = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.0]}
    losses[name] = [2.0, lost]
    assert diagnose(losses).fault == "diverging"


def test_a_first_loss_far_above_chance_is_a_bad_start():
    losses = 2.3 * np.exp(-9 * T)
    finding = diagnose(LossCurve(losses, first=40.0, chance=2.3))
    assert finding.fault == "bad initialisation"
    assert "the first loss is 17.4 times that of chance" in finding.sentence


def test_a_penalty_is_no_bad_start():
    losses = 2.3 * np.exp(-9 * T)
    curve = LossCurve(losses, first=40.0, chance=2.3, penalty=37.5)
    assert diagnose(curve).fault == "healthy"


def test_training_above_validation_is_underfitting():
    finding = diagnose(LossCurve(1.5 + 0.8 * np.exp(-9 * T), [1.0] * 40))
    assert finding.fault == "underfitting"
    assert "less dropout" in finding.suggestion


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_short_trainings_are_not_judged(epochs):
    assert diagnose({"loss": [2.0, 1.9, 1.8][:epochs]}).fault == "healthy"


def test_a_sentence_has_evidence_and_advice():
    sentence = diagnose(CURVES["overfitting"]).sentence
    assert sentence == (
        "overfitting: the training loss ends at 0.0004, the validation loss "
        "at 1.32; use more data or augmentation, a smaller network or more "
        "dropout."
    )
