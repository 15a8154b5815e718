import numpy as np
from sklearn.datasets import load_digits

from dropzoo.data import load


def test_digits_are_scikit_learn_s_scaled_to_0_to_255():
    digits, data = load_digits(), load("digits")
    for part in data.splits.values():
        for index in range(0, len(part), 50):
            row = int(part.names[index].removeprefix("digits[")[:-1])
            grey = np.rint(digits.images[row] / 16 * 255)
            image = part.read(index)
            assert image.dtype == np.uint8
            np.testing.assert_array_equal(image, np.stack([grey] * 3, -1))
            assert part.labels[index] == digits.target[row]


def test_splits_are_made_and_flips_are_off():
    data = load("digits")
    assert data.class_names == tuple("0123456789")
    assert sum(map(len, data.splits.values())) == 1797
    assert data.findings.made_splits == ("test", "validation")
    assert abs(len(data.test) - 0.15 * 1797) < 10
    assert abs(len(data.validation) - 0.15 * 1797) < 10
    assert not data.flips_are_safe
