"""Which of two models is kept, and at which rates one is trained."""

import numpy as np
import pytest

from dropzoo.data import Augmentation
from dropzoo.models import starting_point
from dropzoo.recipes.fine_tuning import FineTuning, Settings
from dropzoo.recipes.verdict import judge


def verdict(head_losses, head_correct, tuned_losses, tuned_correct):
    return judge(
        "photos",
        (np.array(head_losses, float), np.array(head_correct, bool)),
        (np.array(tuned_losses, float), np.array(tuned_correct, bool)),
    )


def test_a_lower_loss_at_equal_accuracy_helps():
    assert verdict([1, 1, 1], [1, 0, 1], [1, 1, 0.5], [1, 0, 1]).helps


def test_a_higher_loss_does_not_help_whatever_the_accuracy():
    assert not verdict([1, 1, 1], [0, 0, 0], [2, 2, 2], [1, 1, 1]).helps


def test_an_equal_model_does_not_help():
    assert not verdict([1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 0, 1]).helps


def test_values_that_are_not_numbers_do_not_help():
    nan = float("nan")
    assert not verdict([1, 1, 1], [1, 0, 1], [1, nan, 0], [1, 1, 1]).helps


@pytest.mark.parametrize(
    # Of 100 photos: a mean of -0.01 with an error of 0.022, then of -0.05
    # with one of 0.038.
    ("lost", "gained", "helps"),
    [(3, 2, True), (10, 5, False)],
)
def test_one_standard_error_of_accuracy_may_be_lost(lost, gained, helps):
    before, after = np.arange(100) >= gained, np.arange(100) < 100 - lost
    losses = np.ones(100)
    assert verdict(losses, before, losses / 2, after).helps == helps


def test_the_verdict_is_a_sentence():
    sentence = verdict([1, 1], [1, 0], [0.5, 0.5], [1, 1]).sentence()
    assert sentence == (
        "Kept: the fine-tuned network. On photos the head alone reaches "
        "50.0% (loss 1.000), fine-tuned 100.0% (loss 0.500)."
    )


@pytest.mark.parametrize(("photos", "warmup"), [(500, 50), (40, 20), (10, 5)])
def test_the_rate_rises_in_the_warm_up_and_falls_to_zero(
    photos, warmup, tmp_path
):
    settings = Settings(
        peak_rate=0.01,
        batch_size=10,
        epochs=10,
        freeze="none",
        augmentation=Augmentation("none", flips=False),
        seed=0,
    )
    network = starting_point.from_catalogue("tiny", None, 32).with_classifier(
        2, 0
    )
    rates = FineTuning(network, settings, tmp_path).rates(photos)
    assert len(rates) == photos
    assert rates.argmax() == pytest.approx(warmup, abs=1)
    assert rates.max() == pytest.approx(0.01, rel=1e-5)
    assert (np.diff(rates[:warmup]) > 0).all()
    assert (np.diff(rates[warmup + 1 :]) < 0).all()
    assert rates[-1] < 0.01 * (np.pi / 2 / (photos - warmup)) ** 2 * 4
