import base64
import io

import numpy as np
import pytest
from PIL import Image

from dropzoo.evaluation.report_markup import element
from dropzoo.evaluation.report_matrix import CORRECT, WRONG, matrix_picture


def pixels_of(shares):
    names = [f"kind {i}" for i in range(len(shares))]
    picture = element("div", matrix_picture(shares, names))
    coded = picture.find(".//image").get("href").partition("base64,")[2]
    return np.array(Image.open(io.BytesIO(base64.b64decode(coded))))


def test_colour_says_right_or_wrong_and_opacity_how_many():
    shares = np.zeros((30, 30))
    shares[0, 0], shares[0, 29], shares[5, 2] = 0.75, 0.25, 1.0
    pixels = pixels_of(shares)
    assert pixels.shape == (30, 30, 4)
    assert tuple(pixels[0, 0, :3]) == CORRECT
    assert tuple(pixels[0, 29, :3]) == WRONG
    assert tuple(pixels[5, 2]) == (*WRONG, 255)
    assert 0 < pixels[0, 29, 3] < pixels[0, 0, 3] < 255
    assert np.count_nonzero(pixels[..., 3]) == 3


def test_no_confusion_is_lost_among_very_many_classes():
    shares = np.zeros((999, 999))
    shares[998, 1] = 0.01
    pixels = pixels_of(shares)
    assert pixels.shape == (250, 250, 4)  # blocks of 4, the last one short
    assert np.argwhere(pixels[..., 3]).tolist() == [[249, 0]]
    assert tuple(pixels[249, 0, :3]) == WRONG


@pytest.mark.parametrize(("num_classes", "named"), [(60, 60), (100, 12)])
def test_rows_and_columns_are_named_as_far_as_there_is_room(num_classes, named):
    names = [f"kind {i}" for i in range(num_classes)]
    picture = element("div", matrix_picture(np.eye(num_classes), names))
    texts = [text.text for text in picture.iter("text")]
    assert texts[:2] == ["kind 0", "kind 0"]
    assert len(texts) == 2 * named


def test_a_long_name_is_cut():
    names = ["n" * 100] * 21
    picture = element("div", matrix_picture(np.eye(21), names))
    assert picture.find(".//text").text == "n" * 21 + "\N{HORIZONTAL ELLIPSIS}"
