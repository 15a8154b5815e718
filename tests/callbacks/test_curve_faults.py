"""Curves of real trainings with known faults, and of simple formulas."""

import dataclasses
import importlib.util
import itertools
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from dropzoo.callbacks import LossCurve, diagnose
from dropzoo.callbacks.curve_shape import CurveShape

ROOT = Path(__file__).parents[2]
T = np.arange(1, 41) / 40  # the end of each epoch


def load(name):
    path = ROOT / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def benchmark():
    yield load("curve_diagnosis")
    del sys.modules["curve_diagnosis"]


@pytest.mark.parametrize(
    "part", ["tuning", "first_held_out", "second_held_out", "third_held_out"]
)
def test_trainings_that_chose_the_rules_are_read_rightly(benchmark, part):
    curves = benchmark.read(part)
    right = [diagnose(curve).fault == truth for truth, _, curve in curves]
    assert np.mean(right) >= 0.9


def test_the_page_shows_what_held_out_trainings_give(benchmark):
    page = ROOT / "docs" / "curve-diagnosis.md"
    assert benchmark.table("held_out") in page.read_text(encoding="utf-8")


@pytest.mark.xfail(strict=True, reason="two raise one, as the page tells")
def test_healthy_held_out_trainings_raise_no_alarm(benchmark):
    curves = benchmark.read("held_out")
    alarms = [
        diagnose(curve).fault != "healthy"
        for truth, _, curve in curves
        if truth == "healthy"
    ]
    assert (len(curves), len(alarms)) == (80, 20)
    assert np.mean(alarms) <= 0.05


def test_numbers_are_chosen_that_make_fewer_mistakes(benchmark):
    known = benchmark.shapes("tuning")[:16]
    rng = np.random.default_rng(0)
    chosen = benchmark.choose_limits(known, rng)
    assert sum(benchmark.mistakes(known, chosen)) <= 1
    all_over = dataclasses.replace(chosen, gap=-9, vanished=1e9, calm=1e9)
    assert benchmark.mistakes(known, all_over)[1] == 4


@pytest.mark.slow
def test_curves_made_again_are_read_alike(benchmark):
    trainings = load("curve_trainings")
    setting = next(x for x in trainings.HELD_OUT if x.data == "blobs")
    stored = [x for x in benchmark.read("held_out") if "blobs" in x[1]]
    again = list(itertools.islice(trainings.trainings(setting), 6))
    for (truth, name, curve), entry in zip(stored, again, strict=False):
        assert (entry.pop("truth"), entry.pop("name")) == (truth, name)
        entry.pop("reached")
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


def test_weights_that_only_shrink_are_underfitting():
    losses = 2.3 + 27.7 * np.exp(-30 * T)
    curve = LossCurve(
        losses, first=30.0, chance=2.3, penalty=27.5, last_penalty=0.3
    )
    finding = diagnose(curve)
    assert finding.fault == "underfitting"
    assert "98% of what the loss has lost was the penalty" in finding.evidence
    small = dataclasses.replace(curve, penalty=0.5, last_penalty=0.4)
    assert diagnose(small).fault == "bad initialisation"
    first = dataclasses.replace(curve, first=45.0)  # 7.6 times that of chance
    assert diagnose(first).fault == "underfitting"


def test_a_penalty_that_stays_is_no_level():
    losses = 5 + 2.3 * np.exp(-9 * T)
    curve = LossCurve(
        losses, first=7.3, chance=2.3, penalty=5.0, last_penalty=5.0
    )
    assert diagnose(curve).fault == "healthy"


def test_dropout_raises_the_first_loss_by_its_gain():
    ones = keras.ops.ones((100_000,))
    dropped = keras.layers.Dropout(0.8, seed=0)(ones, training=True)
    gain = float(keras.ops.mean(dropped**2)) ** 0.5
    assert CurveShape(LossCurve([1.0], dropouts=[0.8])).gain == pytest.approx(
        gain, rel=0.02
    )
    curve = LossCurve(2.3 * np.exp(-9 * T), first=20.0, chance=2.3)
    assert diagnose(curve).fault == "bad initialisation"
    curve = dataclasses.replace(curve, dropouts=[0.8, 0.8])
    assert diagnose(curve).fault == "healthy"


def test_dropout_is_named_as_a_cause():
    losses = 1 + 1.3 * np.exp(-8 * T)
    finding = diagnose(LossCurve(losses, dropouts=[0.2, 0.7]))
    assert finding.fault == "underfitting"
    assert finding.evidence.endswith(", with dropout of up to 0.7")


def test_jumping_epochs_are_not_held_back():
    losses = 1.5 + 0.5 * np.cos(40 * T)
    curve = LossCurve(losses, [0.9] * 40)
    assert diagnose(curve).fault == "rate too high"
    curve = dataclasses.replace(curve, dropouts=[0.5])
    assert diagnose(curve).fault == "underfitting"


def test_short_steps_straight_on_tell_a_low_rate():
    losses = 1 + 1.3 * np.exp(-4 * T)  # as slow a fall in both
    slow = LossCurve(losses, paces=[2e-4] * 40, turns=[0.97] * 39)
    assert diagnose(slow).fault == "rate too low"
    assert "by 0.0002 of them" in diagnose(slow).evidence
    assert "in the same direction (cosine 0.97)" in diagnose(slow).evidence
    for change in ({"turns": [0.5] * 39}, {"paces": [0.01] * 40}):
        small = dataclasses.replace(slow, **change)
        assert diagnose(small).fault == "underfitting"


def test_other_batches_are_no_jump():
    losses = 2 - 0.5 * T
    curve = LossCurve(losses, parts=[1.9, 3.1, *losses], first=1.9)
    assert diagnose(curve).fault == "rate too high"
    curve = dataclasses.replace(curve, paces=[1e-4] * 40, turns=[0.99] * 39)
    assert diagnose(curve).fault == "rate too low"


def test_weights_that_come_to_rest_at_chance_have_died():
    noise = 0.005 * np.cos(40 * T)
    losses = 2.35 + noise  # above ln C, as steps of the last biases are long
    paces = [0.4, *[2e-4] * 39]
    curve = LossCurve(losses, first=3.0, chance=2.3, paces=paces)
    finding = diagnose(curve)
    assert finding.fault == "rate too high"
    assert "ends at 102% of that of chance" in finding.evidence
    assert "come to rest, at 0.1% of their first pace" in finding.evidence
    moving = dataclasses.replace(curve, paces=[0.04] * 40)
    assert diagnose(moving).fault == "underfitting"
    learned = dataclasses.replace(curve, loss=losses - 0.3)
    assert diagnose(learned).fault != "rate too high"


def test_a_network_that_is_too_small_learns_nothing_by_heart():
    losses = 0.7 + 1.6 * np.exp(-8 * T)
    assert diagnose(LossCurve(losses, losses + 0.05)).fault == "underfitting"
    assert diagnose(LossCurve(losses, losses + 0.3)).fault == "healthy"


def test_what_is_learned_by_heart_stays_learned():
    wild = 0.3 * (1 + np.cos(40 * T))
    curve = LossCurve([2.3, *wild, 0.2], [1.5] * 42)
    assert diagnose(curve).fault == "rate too high"


def test_only_outputs_that_are_all_alike_come_from_small_weights():
    losses = 2.3 / (1 + np.exp(40 * (T - 0.4)))
    for first, fault in ((2.3, "bad initialisation"), (2.5, "healthy")):
        curve = LossCurve(losses, first=first, chance=2.3)
        assert diagnose(curve).fault == fault
    above = LossCurve(losses + 0.2 * (T < 0.3), first=2.3, chance=2.3)
    assert diagnose(above).fault == "healthy"


def test_weights_that_grow_at_once_were_too_small():
    losses = 2.3 * np.exp(-9 * T)
    curve = LossCurve(losses, first=2.3, chance=2.3, paces=[0.02] * 40)
    assert diagnose(curve).fault == "healthy"
    finding = diagnose(dataclasses.replace(curve, paces=[1.2, *[0.02] * 39]))
    assert finding.fault == "bad initialisation"
    assert "a step moves the weights by 120% of them" in finding.evidence


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
