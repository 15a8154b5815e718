import keras
import numpy as np
import pytest

from dropzoo.layers import LocalResponseNormalization


def activations(*shape, scale=1.0):
    rng = np.random.default_rng(0)
    return np.maximum(rng.normal(scale=scale, size=shape), 0).astype("float32")


def by_definition(x, size, alpha, beta, bias):
    """Krizhevsky et al. 2012, section 3.3, with a mean for the sum."""
    channels, result = x.shape[-1], np.empty_like(x)
    for channel in range(channels):
        first = max(channel - size // 2, 0)
        last = min(channel + (size - 1) // 2, channels - 1)
        total = (x[..., first : last + 1] ** 2).sum(-1)
        divisor = (bias + alpha / size * total) ** beta
        result[..., channel] = x[..., channel] / divisor
    return result


@pytest.mark.parametrize("size", [1, 4, 5, 20])
def test_each_channel_is_divided_by_what_is_beside_it(size, to_numpy):
    x = activations(2, 3, 4, 7)
    options = {"size": size, "alpha": 0.5, "beta": 0.75, "bias": 2.0}
    output = LocalResponseNormalization(**options)(x)
    expected = by_definition(x, **options)
    np.testing.assert_allclose(to_numpy(output), expected, rtol=1e-5)


def test_channels_may_stand_on_any_axis(to_numpy):
    x = activations(2, 7, 3, 4)
    last = LocalResponseNormalization(alpha=1.0)(np.moveaxis(x, 1, -1))
    second = LocalResponseNormalization(alpha=1.0, axis=1)(x)
    np.testing.assert_allclose(
        to_numpy(second), np.moveaxis(to_numpy(last), -1, 1), rtol=1e-6
    )


def test_without_weight_on_the_squares_nothing_changes(to_numpy):
    x = activations(2, 3, 4, 7)
    output = LocalResponseNormalization(alpha=0.0)(x)
    np.testing.assert_allclose(to_numpy(output), x, rtol=1e-6)


def test_large_activations_do_not_overflow_in_half_precision(to_numpy):
    x = activations(2, 3, 4, 7, scale=1000.0)
    half = LocalResponseNormalization(dtype="mixed_float16")(x)
    assert keras.backend.standardize_dtype(half.dtype) == "float16"
    exact = by_definition(x, 5, 1e-4, 0.75, 1.0)
    np.testing.assert_allclose(to_numpy(half), exact, rtol=3e-3)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"size": 0}, ValueError, "`size` must be .*size=0"),
        ({"size": 2.5}, TypeError, "`size` must be .*size=2.5"),
        ({"alpha": -1.0}, ValueError, "`alpha` must be .*alpha=-1.0"),
        ({"bias": 0}, ValueError, "`bias` above 0. .*bias=0"),
    ],
)
def test_an_argument_out_of_range_is_refused(options, error, sentence):
    with pytest.raises(error, match=sentence):
        LocalResponseNormalization(**options)


@pytest.mark.torch
@pytest.mark.parametrize("size", [4, 5])
def test_it_is_what_pytorch_computes(size, to_numpy):
    torch = pytest.importorskip("torch")
    x = activations(2, 3, 4, 7, scale=10.0)
    theirs = torch.nn.LocalResponseNorm(size, alpha=0.01, beta=0.6, k=1.5)
    expected = theirs(torch.from_numpy(np.moveaxis(x, -1, 1).copy()))
    output = LocalResponseNormalization(size, alpha=0.01, beta=0.6, bias=1.5)(x)
    np.testing.assert_allclose(
        to_numpy(output), np.moveaxis(expected.numpy(), 1, -1), rtol=1e-4
    )
