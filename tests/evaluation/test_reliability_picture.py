"""The picture of confidence and accuracy."""

import numpy as np
from PIL import Image

from dropzoo.evaluation import draw_reliability, evaluate_probabilities


def figures(confidence, share):
    """Half the images with a confidence; a share of those is right."""
    sure = np.tile([confidence, 1 - confidence], (100, 1))
    labels = (np.arange(100) >= 100 * share).astype(int)
    return evaluate_probabilities(labels, sure, ["a", "b"])


def coloured(path, colour):
    """How many pixels have nearly some colour."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), "int32")
    return int((abs(pixels - colour).sum(axis=2) < 90).sum())


def test_a_gap_is_red_and_a_match_is_not(tmp_path):
    red = (214, 39, 40)
    draw_reliability(tmp_path / "gap.png", {"before": figures(0.9, 0.5)})
    draw_reliability(tmp_path / "match.png", {"after": figures(0.9, 0.9)})
    assert coloured(tmp_path / "gap.png", red) > 100
    assert coloured(tmp_path / "match.png", red) < (
        coloured(tmp_path / "gap.png", red) / 3
    )


def test_every_measurement_has_a_panel(tmp_path):
    one = {"before": figures(0.9, 0.5)}
    draw_reliability(tmp_path / "one.png", one)
    draw_reliability(tmp_path / "two.png", one | {"after": figures(0.6, 0.5)})
    with (
        Image.open(tmp_path / "one.png") as narrow,
        Image.open(tmp_path / "two.png") as wide,
    ):
        assert wide.width > 1.5 * narrow.width
