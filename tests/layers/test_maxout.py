import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropzoo.layers import Maxout


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def dense(kernel, bias):
    """A Dense layer of one input with these weights."""
    layer = keras.layers.Dense(len(bias))
    layer.build((None, 1))
    layer.set_weights([np.array([kernel], "float32"), np.array(bias)])
    return layer


@pytest.mark.parametrize(
    ("kernel", "bias", "function"),
    [
        ((1, -1), (0, 0), np.abs),
        ((1, 0), (0, 0), lambda x: np.maximum(x, 0)),
        # Three tangents of x^2, at -1, 0 and 1.
        ((-2, 0, 2), (-1, 0, -1), lambda x: np.maximum(2 * np.abs(x) - 1, 0)),
        ((2, 2, 2), (-3, 1, 0), lambda x: 2 * x + 1),
    ],
)
def test_a_unit_is_the_maximum_of_its_affine_maps(
    kernel, bias, function, to_numpy
):
    x = np.linspace(-3, 3, 25, dtype="float32")[:, None]
    y = Maxout(len(kernel))(dense(kernel, bias)(x))
    np.testing.assert_allclose(to_numpy(y), function(x), rtol=1e-6, atol=1e-6)


def test_a_convolution_with_maxout_is_the_maximum_of_convolutions(to_numpy):
    x = normal(2, 6, 5, 3)
    convolution = keras.layers.Conv2D(8, 3)
    y = Maxout(4)(convolution(x))
    kernel, bias = convolution.get_weights()
    pieces = [
        to_numpy(keras.ops.conv(x, kernel[..., piece::4])) + bias[piece::4]
        for piece in range(4)
    ]
    expected = np.max(pieces, axis=0)
    np.testing.assert_allclose(to_numpy(y), expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    rank=st.integers(2, 5),
    axis=st.integers(-4, 4),
    pieces=st.integers(1, 3),
    groups=st.integers(1, 2),
)
def test_each_output_is_the_maximum_of_consecutive_inputs(
    rank, axis, pieces, groups
):
    axis = axis if -rank < axis < rank and axis % rank else -1
    shape = [2] * rank
    shape[axis] = pieces * groups
    x = np.random.default_rng(rank).normal(size=shape).astype("float32")
    layer = Maxout(pieces, axis=axis)
    y = keras.ops.convert_to_numpy(layer(x))
    starts = range(0, pieces * groups, pieces)
    expected = np.maximum.reduceat(x, starts, axis=axis)
    np.testing.assert_array_equal(y, expected)
    assert layer.compute_output_shape(shape) == expected.shape


def test_channels_first_groups_the_same_channels(to_numpy):
    x = normal(2, 4, 5, 6)
    last = to_numpy(Maxout(3)(x))
    first = to_numpy(Maxout(3, axis=1)(np.moveaxis(x, -1, 1)))
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), last)


def test_no_piece_is_zero(to_numpy):
    x = -1 - np.abs(normal(8, 6))
    assert (to_numpy(Maxout(2)(x)) < 0).all()


def test_one_piece_changes_nothing(to_numpy):
    x = normal(2, 3)
    np.testing.assert_array_equal(to_numpy(Maxout(1)(x)), x)


def test_the_gradient_goes_to_the_largest_piece_alone(gradient):
    x = normal(16, 6)
    groups = x.reshape(16, 2, 3)
    largest = groups == groups.max(axis=-1, keepdims=True)
    slopes = gradient(Maxout(3), x)
    np.testing.assert_array_equal(slopes, largest.reshape(16, 6))


def test_infinite_pieces_win_or_lose(to_numpy):
    x = np.array([[np.inf, 1, -np.inf, 2, -np.inf, -np.inf]], "float32")
    y = to_numpy(Maxout(2)(x))
    np.testing.assert_array_equal(y, [[np.inf, 2, -np.inf]])


def test_nan_stays_visible(to_numpy):
    x = np.array([[np.nan, 1, 2, np.nan, 3, 4]], "float32")
    np.testing.assert_array_equal(to_numpy(Maxout(2)(x)), [[np.nan, np.nan, 4]])


def test_other_axes_may_be_unknown(to_numpy):
    x = keras.Input((None, None, 6))
    y = Maxout(3)(x)
    assert y.shape == (None, None, None, 2)
    values = normal(2, 3, 4, 6)
    expected = values.reshape(2, 3, 4, 2, 3).max(-1)
    model = keras.Model(x, y)
    np.testing.assert_array_equal(to_numpy(model(values)), expected)
    np.testing.assert_array_equal(model.predict(values, verbose=0), expected)


def test_a_mask_over_time_steps_is_kept():
    x = keras.ops.ones((2, 3, 4))
    x._keras_mask = keras.ops.convert_to_tensor([[True, False, True]] * 2)
    assert Maxout(2)(x)._keras_mask is not None


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (
            {"num_pieces": 0},
            ValueError,
            "`num_pieces` must be an .*num_pieces=0",
        ),
        (
            {"num_pieces": 2.0},
            TypeError,
            "`num_pieces` must be an .*num_pieces=2.0",
        ),
        (
            {"axis": 0},
            ValueError,
            "`axis` must be an integer other than 0.*axis=0",
        ),
        (
            {"axis": None},
            TypeError,
            "`axis` must be an integer other.*axis=None",
        ),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        Maxout(**arguments)


@pytest.mark.parametrize(
    ("axis", "shape"),
    [(-1, (2, 5)), (1, (2, 3, 4)), (-1, (2, None)), (3, (2, 4)), (-2, (2, 4))],
)
def test_what_does_not_divide_into_groups_is_refused(axis, shape):
    layer = Maxout(2, axis=axis)
    with pytest.raises(ValueError, match="`num_pieces` must divide .*input"):
        layer(keras.KerasTensor(shape))
    if None not in shape:
        with pytest.raises(ValueError, match=f"axis {axis} of the input"):
            layer(np.ones(shape, "float32"))
