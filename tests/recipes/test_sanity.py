"""Data and network are looked at before time is spent on them."""

import numpy as np
import pytest

from dropzoo.data import Examples
from dropzoo.models import starting_point
from dropzoo.recipes.sanity import check_start


@pytest.fixture
def network():
    return starting_point.from_catalogue("tiny", None, 32).with_classifier(2, 0)


def examples(photos: list[np.ndarray], labels: list[int]) -> Examples:
    names = [str(position) for position in range(len(labels))]
    return Examples(np.array(labels, "int32"), names, names, photos.__getitem__)


def bright_and_dark(number: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 100, (20, 30, 3), dtype=np.uint8) + np.uint8(155 * dark)
        for dark in [0, 1] * (number // 2)
    ]


def test_what_was_seen_is_said(network):
    said = []
    check_start(
        network, examples(bright_and_dark(30), [0, 1] * 15), 2, said.append
    )
    assert said[0].startswith("First loss ")
    assert said[0].endswith("; ln 2 is 0.69.")
    assert said[-1].startswith("A head learns 20 photos down to a loss of 0.0")


def test_blank_photos_are_refused(network):
    blank = [np.full((20, 30, 3), 99, np.uint8)] * 10
    with pytest.raises(ValueError, match="or all photos blank"):
        check_start(network, examples(blank, [0, 1] * 5), 2, print)


def test_values_that_are_not_finite_are_refused(network):
    head = network.get_layer("logits")
    head.set_weights([np.full(head.kernel.shape, np.nan), np.zeros(2)])
    with pytest.raises(ValueError, match="values that are not finite"):
        check_start(
            network, examples(bright_and_dark(4), [0, 1, 0, 1]), 2, print
        )


def test_a_loss_far_from_chance_is_a_warning(network):
    head = network.get_layer("logits")
    head.set_weights([np.zeros(head.kernel.shape), np.array([0.0, 99.0])])
    said = []
    check_start(
        network, examples(bright_and_dark(4), [0, 1, 0, 1]), 2, said.append
    )
    assert any(line.startswith("warning: that is far from ln") for line in said)


def test_one_class_among_few_photos_is_let_through(network):
    said = []
    check_start(network, examples(bright_and_dark(4), [0] * 4), 2, said.append)
    assert said[0].startswith("First loss ")
