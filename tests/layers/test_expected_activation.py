import keras
import numpy as np
import pytest
from scipy import integrate, stats

from dropzoo.layers.expected_activation import expected_activation
from dropzoo.layers.seed_table import SeedTable

MEANS = np.array([-30, -2, -0.3, 0, 0.7, 5, 40], "float32")
DEVIATIONS = np.array([1, 0.5, 2, 1, 0.1, 3, 1], "float32")


def expect(activation, num_samples=1, mean=MEANS, deviation=DEVIATIONS):
    output = expected_activation(
        activation,
        keras.ops.convert_to_tensor(mean),
        keras.ops.convert_to_tensor(deviation),
        num_samples,
        keras.random.SeedGenerator(1),
    )
    return keras.ops.convert_to_numpy(output)


def moments(function):
    """Mean and standard deviation of a function of normal variables."""
    for mean, deviation in zip(MEANS, DEVIATIONS, strict=True):
        normal = stats.norm(mean, deviation)
        edges = mean - 12 * deviation, mean + 12 * deviation
        first, second = (
            integrate.quad(
                lambda u, power=power, density=normal.pdf: (
                    function(u) ** power * density(u)
                ),
                *edges,
                points=[mean, min(max(edges[0], 0), edges[1])],
            )[0]
            for power in (1, 2)
        )
        yield first, np.sqrt(max(second - first**2, 0))


def test_relu_is_its_integral():
    expected = [mean for mean, _ in moments(lambda u: max(u, 0))]
    actual = expect(keras.activations.relu)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_relu_needs_no_draws_and_others_do():
    relu, softplus = keras.activations.relu, keras.activations.softplus
    assert (expect(relu, 1) == expect(relu, 50)).all()
    assert (expect(softplus, 1) != expect(softplus, 50)).any()


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        (keras.activations.tanh, np.tanh),
        (keras.activations.sigmoid, lambda u: 1 / (1 + np.exp(-u))),
        (lambda x: keras.ops.maximum(x, 0), lambda u: max(u, 0)),
    ],
    ids=["tanh", "sigmoid", "relu by draws"],
)
def test_draws_approach_the_integral(activation, function):
    num_samples = 400
    actual = expect(activation, num_samples)
    for value, (mean, deviation) in zip(actual, moments(function), strict=True):
        # Five standard errors of so many draws, and float32.
        error = 5 * deviation / np.sqrt(num_samples) + 1e-5 * abs(mean) + 1e-6
        assert value == pytest.approx(mean, abs=error)


def test_draws_differ_between_elements():
    zeros, ones = np.zeros(2000, "float32"), np.ones(2000, "float32")
    average = expect(keras.activations.tanh, 25, zeros, ones)
    variance = integrate.quad(
        lambda u: np.tanh(u) ** 2 * stats.norm.pdf(u), -12, 12
    )[0]
    # The variance of a mean of 25 draws, by 2000 of them: its own standard
    # error is sqrt(2 / 2000) of it.
    assert average.var() == pytest.approx(
        variance / 25, rel=5 * np.sqrt(2 / 2000)
    )


def test_linear_is_the_mean():
    np.testing.assert_array_equal(expect(keras.activations.linear), MEANS)


def test_activations_of_many_units_stay_what_they_are():
    mean = np.random.default_rng(0).normal(size=(4, 7)).astype("float32")
    shares = expect(keras.activations.softmax, 20, mean, np.ones_like(mean))
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_without_deviation_it_is_the_activation(activation):
    function = keras.activations.get(activation)
    zeros = np.zeros_like(MEANS)
    expected = keras.ops.convert_to_numpy(function(MEANS))
    actual = expect(function, 8, deviation=zeros)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_gradients_are_finite_without_deviation(gradient):
    slopes = gradient(
        lambda mean: expected_activation(
            keras.activations.relu, mean, 0 * mean, 1, None
        ),
        np.array([-1, 0.5], "float32"),
    )
    np.testing.assert_array_equal(slopes, [0, 1])


def test_a_table_gives_the_same_numbers_again_and_others_elsewhere():
    def draw(table, index):
        return keras.ops.convert_to_numpy(
            keras.random.normal((4,), seed=table[index])
        )

    first, second = (
        SeedTable(keras.random.SeedGenerator(seed), 3) for seed in (1, 2)
    )
    np.testing.assert_array_equal(draw(first, 1), draw(first, 1))
    values = [draw(table, i) for table in (first, second) for i in range(3)]
    assert len(np.unique(values)) == 24
