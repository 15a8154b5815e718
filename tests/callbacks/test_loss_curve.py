"""Losses are read from wherever a training leaves them."""

import keras
import numpy as np
import pytest

from dropzoo.callbacks.loss_curve import LossCurve


def test_a_mapping_is_read():
    curve = LossCurve.of({"loss": [2, 1], "val_loss": [3, 2], "accuracy": [0]})
    assert curve == LossCurve([2, 1], [3, 2])


def test_what_fit_returns_is_read():
    history = keras.callbacks.History()
    history.history = {"loss": [2.0, 1.0]}
    assert LossCurve.of(history) == LossCurve([2.0, 1.0])


def test_the_file_of_a_run_is_read(tmp_path):
    file = tmp_path / "history.csv"
    file.write_text(
        "epoch,phase,loss,val_loss\n0,head,2.5,\n1,head,1.5,1.75\n2,all,nan,\n"
    )
    for path in (file, str(file)):
        curve = LossCurve.of(path)
        np.testing.assert_equal(list(curve.loss), [2.5, 1.5, np.nan])
        assert curve.val_loss == [1.75]


def test_a_curve_is_taken_as_it_is():
    curve = LossCurve([1.0])
    assert LossCurve.of(curve) is curve


def test_the_fine_curve_begins_with_the_first_batch():
    curve = LossCurve([2, 1], parts=[2.5, 1.5, 1.25, 0.75], first=3)
    assert list(curve.fine()) == [3, 2.5, 1.5, 1.25, 0.75]
    assert list(LossCurve([2, 1]).fine()) == [2, 1]


@pytest.mark.parametrize("history", [{}, {"loss": []}, {"accuracy": [1]}])
def test_a_history_without_loss_is_refused(history):
    with pytest.raises(ValueError, match="must have the `loss` of an epoch"):
        LossCurve.of(history)


def test_a_curve_without_epochs_is_refused():
    with pytest.raises(ValueError, match="at least one epoch"):
        LossCurve([])
