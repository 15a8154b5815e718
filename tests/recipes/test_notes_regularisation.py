"""Expectations of dropout, and what the penalties leave."""

import keras
import numpy as np
import pytest

from dropzoo.recipes import notes_regularisation as regularisation


def test_dropout_keeps_the_expectation_in_one_of_two_places():
    means = regularisation.dropout_means()
    # 100,000 draws of 0 and 1, 0 and 2: deviations of 0.0016 and 0.0032.
    assert means["plain"] == (pytest.approx(0.5, abs=0.008), 0.5)
    assert means["inverted"] == (pytest.approx(1, abs=0.016), 1)


def test_every_network_has_a_layer_or_a_penalty_of_its_own():
    added = {}
    for name, variant in regularisation.VARIANTS.items():
        network = regularisation.build(variant)
        kinds = {type(layer).__name__ for layer in network.layers}
        added[name] = kinds - {"Dense", "ReLU"}, len(network.losses)
    assert added == {
        "nothing": (set(), 0),
        "L1": (set(), 2),
        "L2": (set(), 2),
        "elastic net": (set(), 2),
        "dropout": ({"Dropout"}, 0),
        "noise": ({"GaussianNoise"}, 0),
        "batch norm": ({"BatchNormalization"}, 0),
        "early stop": (set(), 0),
    }


def test_penalties_are_those_of_the_formulas():
    kernel = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    ones, squares = np.abs(kernel).sum(), (kernel**2).sum()
    for name, expected in (
        ("L1", 0.001 * ones),
        ("L2", 0.01 * squares),
        ("elastic net", 0.0005 * ones + 0.005 * squares),
    ):
        penalty = regularisation.VARIANTS[name].penalty()
        found = penalty(keras.ops.convert_to_tensor(kernel))
        assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_tenth_of_the_labels_is_wrong():
    x, y = regularisation.digits(3)
    order = np.random.default_rng(3).permutation(1797)[: len(y)]
    true = regularisation.load_digits().target[order]
    assert np.flatnonzero(y != true).tolist() == list(range(10))
    assert x[:100].std() == pytest.approx(1)


@pytest.mark.slow
def test_regularised_networks_are_less_wrong_at_the_end():
    nothing, l1, stopped = (
        regularisation.train(regularisation.VARIANTS[name], 0)
        for name in ("nothing", "L1", "early stop")
    )
    assert nothing.val_losses[-1] > 1.2 * min(nothing.val_losses)
    assert l1.val_losses[-1] < nothing.val_losses[-1]
    near_zero = regularisation.near_zero
    assert near_zero(l1.kernel) > 5 * near_zero(nothing.kernel)
    assert len(stopped.losses) < regularisation.EPOCHS
