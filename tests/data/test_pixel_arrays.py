import numpy as np
import pytest

from dropzoo.data.pixel_arrays import check_image_shape, to_rgb, to_uint8


def test_uint8_stays_as_it_is():
    array = np.arange(6, dtype=np.uint8)
    pixels, note = to_uint8(array, "x")
    assert pixels is array and note is None


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_in_0_to_1_are_scaled_and_said(dtype):
    array = np.array([0, 0.25, 0.5, 1], dtype=dtype)
    pixels, note = to_uint8(array, "x_train")
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, [0, 64, 128, 255])
    assert note == "x_train: floating values in [0, 1] were scaled to 0..255"


def test_floats_in_0_to_255_are_rounded_and_said():
    pixels, note = to_uint8(np.array([0, 1.4, 254.6]), "x")
    np.testing.assert_array_equal(pixels, [0, 1, 255])
    assert "rounded" in note


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16])
def test_whole_numbers_up_to_255_stay(dtype):
    pixels, note = to_uint8(np.array([0, 1, 100], dtype=dtype), "x")
    np.testing.assert_array_equal(pixels, [0, 1, 100])
    assert pixels.dtype == np.uint8 and note is None


def test_booleans_become_black_and_white():
    pixels, note = to_uint8(np.array([False, True]), "x")
    np.testing.assert_array_equal(pixels, [0, 255])
    assert pixels.dtype == np.uint8 and "booleans" in note


@pytest.mark.parametrize(
    "values",
    [
        [-1.0, 1.0],
        [0.0, 255.5],
        [np.nan, 0.5],
        [np.inf, 0.0],
        [0, 256],
        [-1, 3],
    ],
)
def test_values_out_of_range_are_refused(values):
    with pytest.raises(
        ValueError, match="`x_test` must hold finite pixel values"
    ):
        to_uint8(np.array(values), "x_test")


@pytest.mark.parametrize("dtype", [complex, "U3", "datetime64[s]"])
def test_what_is_no_number_is_refused(dtype):
    with pytest.raises(TypeError, match="`x` must hold numbers"):
        to_uint8(np.zeros(2, dtype=dtype), "x")


def test_an_empty_array_has_no_range():
    assert to_uint8(np.zeros((0, 4, 4)), "x")[0].shape == (0, 4, 4)


@pytest.mark.parametrize("shape", [(5, 8, 9), (5, 8, 9, 1), (5, 8, 9, 3)])
def test_stacks_of_grey_and_rgb_images_pass(shape):
    check_image_shape(np.zeros(shape), "x")


@pytest.mark.parametrize(
    "shape", [(), (5,), (5, 64), (5, 3, 8, 9), (5, 8, 9, 4), (5, 1, 1, 3)]
)
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="`x` must have shape.*channels last"):
        check_image_shape(np.zeros(shape), "x")


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1)])
def test_grey_is_repeated(shape):
    grey = np.arange(6, dtype=np.uint8).reshape(shape)
    rgb = to_rgb(grey)
    assert rgb.shape == (2, 3, 3)
    for channel in range(3):
        np.testing.assert_array_equal(rgb[..., channel].ravel(), np.arange(6))


def test_rgb_stays_as_it_is():
    rgb = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    np.testing.assert_array_equal(to_rgb(rgb), rgb)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (2, 3, 3)])
def test_the_result_may_be_written_to_without_harm(shape):
    image = np.zeros(shape, np.uint8)
    to_rgb(image)[...] = 9
    assert image.max() == 0
