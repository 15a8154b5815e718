"""By hand, by Keras, by SciPy, and as the notes print it."""

import numpy as np
import pytest
from scipy.signal import correlate2d

from dropzoo.recipes import notes_convolution as convolution


@pytest.fixture(scope="module")
def results():
    return convolution.compare()


def test_keras_computes_what_the_hand_does(results):
    assert len(results) == 10
    for by_hand, by_keras in results.values():
        np.testing.assert_array_equal(by_hand, by_keras)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_scipy_computes_the_same(results, padding):
    expected = correlate2d(convolution.IMAGE, convolution.KERNEL, padding)
    by_hand, _ = results[f"convolution, {padding}"]
    np.testing.assert_array_equal(by_hand, expected)
    assert by_hand.shape == ((4, 4) if padding == "valid" else (6, 6))


def test_a_stride_that_does_not_divide_leaves_out_or_pads_the_end(results):
    valid, _ = results["convolution, valid"]
    strided, _ = results["convolution, valid, stride 2"]
    np.testing.assert_array_equal(strided, valid[::2, ::2])
    # Six columns in steps of two: one column of zeros, behind the last.
    same, _ = results["convolution, same, stride 2"]
    padded = np.pad(convolution.IMAGE, (0, 1))
    expected = correlate2d(padded, convolution.KERNEL, "valid")[::2, ::2]
    np.testing.assert_array_equal(same, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("convolution, valid", [(0, 3, 16, 14)]),
        ("average pooling", [(0, 1, 2.25, 2)]),
        ("max pooling", []),
        ("homework, max", []),
        ("homework, average", []),
        ("convolution, same", []),
    ],
)
def test_two_printed_numbers_are_wrong(results, name, expected):
    assert convolution.misprints(name, results[name][0]) == expected


def test_the_first_of_equal_values_takes_the_gradient():
    x = np.array([[1, 4], [4, 4]], "float32")
    gradient = np.array([[8]], "float32")
    for kind, expected in (
        ("max", [[0, 8], [0, 0]]),
        ("average", [[2, 2], [2, 2]]),
    ):
        back = convolution.spread_back(x, gradient, kind)
        np.testing.assert_array_equal(back, expected)


@pytest.mark.slow
def test_convolutions_read_shifted_digits_better():
    accuracies = convolution.read_shifted(0)
    dense, convolutional = accuracies["dense"], accuracies["convolutional"]
    assert min(dense[0], convolutional[0]) > 0.85
    assert convolutional[-1] > dense[-1] + 0.2
    # Two pixels are one step of the pooling: the same numbers, one place on.
    assert convolutional[2] == pytest.approx(convolutional[0], abs=0.02)
