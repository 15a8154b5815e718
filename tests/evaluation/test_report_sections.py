"""What the sections of a report show, read back from its page."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dropzoo.evaluation import (
    Comparison,
    DataSummary,
    Mistake,
    evaluate_probabilities,
)


def section_of(page, key):
    return page.find(f".//section[@id='{key}']")


def rows_of(table):
    """The cells of a table's body, as texts with ordinary spaces."""
    return [
        [" ".join("".join(cell.itertext()).split()) for cell in row]
        for row in table.findall("tbody/tr")
    ]


def points_of(section, class_):
    """The places on the picture of a line."""
    line = section.find(f".//polyline[@class='{class_}']")
    return [
        tuple(map(float, place.split(",")))
        for place in line.get("points").split()
    ]


def test_images_are_counted_by_class_and_split(read_page, make_content):
    counts = {"train": [5, 1200, 7], "validation": [1, 2, 3]}
    page = read_page(make_content(data=DataSummary(counts=counts)))
    table = section_of(page, "data").find(".//table")
    headings = [th.text for th in table.findall("thead/tr/th")]
    assert headings == ["Class", "Training", "Validation"]
    assert rows_of(table) == [
        ["cat", "5", "1"],
        ["dog", "1,200", "2"],
        ["eel", "7", "3"],
    ]
    sums = ["".join(cell.itertext()) for cell in table.find("tfoot/tr")]
    assert sums == ["All 3 classes", "1,212", "6"]


def test_long_lists_of_rejected_files_are_folded_then_cut(
    read_page, make_content, text_of
):
    rejected = [(f"{i}.jpg", "it is cut off") for i in range(1700)]
    page = read_page(make_content(data=DataSummary(rejected=rejected)))
    section = section_of(page, "data")
    seen, folded = section.iter("table")
    assert (len(rows_of(seen)), len(rows_of(folded))) == (8, 492)
    assert "Rejected files (1,700)" in text_of(section)
    assert "1,200 more are not listed here." in text_of(section)


def test_curves_go_through_the_epochs_that_have_a_value(
    read_page, make_content
):
    history = [
        {"loss": 4.0},
        {"loss": 2.0, "val_loss": 3.0},
        {"loss": float("nan"), "val_loss": None},
        {"loss": 0.0, "val_loss": 1.0},
    ]
    section = section_of(read_page(make_content(history=history)), "training")
    training = points_of(section, "line training")
    validation = points_of(section, "line validation")
    assert [len(training), len(validation)] == [3, 2]
    (x1, y1), (x2, y2), (x4, y4) = training
    assert x4 - x2 == pytest.approx(2 * (x2 - x1), abs=0.02)
    assert y2 == pytest.approx((y1 + y4) / 2, abs=0.02)
    assert validation[0][1] == pytest.approx((y1 + y2) / 2, abs=0.02)
    numbers = rows_of(section.find(".//details//table"))
    assert numbers[1] == ["2", "", "2.0000", "\N{EN DASH}", "3.0000"] + [
        "\N{EN DASH}"
    ]


def test_phases_are_marked_where_they_begin(read_page, make_content):
    history = [
        {"phase": "head", "loss": 1.0},
        {"phase": "head", "loss": 0.9},
        {"phase": "fine-tune", "loss": 0.8},
    ]
    section = section_of(read_page(make_content(history=history)), "training")
    marks = [
        float(line.get("x1"))
        for line in section.iter("line")
        if line.get("class") == "mark"
    ]
    steps = [x for x, _ in points_of(section, "line training")]
    assert marks[1] == pytest.approx((steps[1] + steps[2]) / 2, abs=0.02)
    texts = [text.text for text in section.iter("text")]
    assert "head" in texts and "fine-tune" in texts


def test_one_epoch_is_a_dot(read_page, make_content):
    history = [{"epoch": 1, "accuracy": 0.5, "loss": 0.7}]
    section = section_of(read_page(make_content(history=history)), "training")
    assert len(list(section.iter("circle"))) == 2
    assert "nan" not in "".join(str(e.attrib) for e in section.iter())


def test_a_diverged_history_leaves_no_curve(read_page, make_content):
    history = [{"loss": float("nan"), "accuracy": float("nan")}]
    page = read_page(make_content(history=history, learning_rates={}))
    section = section_of(page, "training")
    assert list(section.iter("polyline")) == []


def test_rates_keep_their_ends_and_their_peak(read_page, make_content, text_of):
    rates = np.concatenate([np.linspace(0, 3e-4, 500), np.zeros(9500)])
    page = read_page(make_content(learning_rates={"all": rates}))
    section = section_of(page, "training")
    points = points_of(section, "line rate")
    assert len(points) == 400
    assert points[0][1] == points[-1][1] > min(y for _, y in points)
    label = section.findall(".//svg")[2].get("aria-label")
    assert label == "Learning rate over 10000 steps, at most 3e-4."


def test_every_layer_group_has_its_rate(read_page, make_content, text_of):
    section = section_of(read_page(make_content()), "training")
    lines = section.findall(".//polyline[@class='line rate']")
    assert len(lines) == 2
    assert "stem, at most 1e-5" in text_of(section)
    assert "head, at most 1e-4" in text_of(section)


def test_the_candidate_that_was_kept_is_marked(
    read_page, make_content, text_of
):
    comparison = Comparison({"head only": 0.75, "tuned": 0.5}, "head only", "!")
    page = read_page(make_content(comparison=comparison))
    section = section_of(page, "training")
    assert rows_of(section.find(".//table")) == [
        ["head only kept", "75.0 %"],
        ["tuned", "50.0 %"],
    ]


def test_the_matrix_of_few_classes_holds_its_numbers(read_page, make_content):
    content = make_content()
    section = section_of(read_page(content), "confusion")
    table = section.find(".//table[@class='confusion']")
    shown = [[int(n or 0) for n in row[1:]] for row in rows_of(table)]
    assert shown == content.metrics.confusion.tolist()
    kinds = [[td.get("class") for td in tr] for tr in table.find("tbody")]
    assert kinds[0][1] == "correct" and kinds[0][2] == "wrong"


def test_the_costliest_confusions_come_first(read_page, make_content):
    names = [f"kind {i}" for i in range(25)]
    labels = np.array([3] * 10 + [7] * 4 + [1])
    predicted = np.array([4] * 6 + [3] * 4 + [8] * 1 + [7] * 3 + [1])
    metrics = evaluate_probabilities(labels, np.eye(25)[predicted], names)
    page = read_page(make_content(names, data=DataSummary(), metrics=metrics))
    section = section_of(page, "confusion")
    assert rows_of(section.find(".//table")) == [
        ["kind 3", "kind 4", "6", "60 %"],
        ["kind 7", "kind 8", "1", "25 %"],
    ]


def test_perfect_answers_leave_no_list_of_confusions(
    read_page, make_content, text_of
):
    names = ["cat", "dog", "eel"]
    metrics = evaluate_probabilities(np.array([0, 1]), np.eye(3)[:2], names)
    page = read_page(make_content(metrics=metrics, mistakes=[]))
    assert "frequent" not in text_of(section_of(page, "confusion"))
    assert section_of(page, "mistakes") is None


def test_classes_are_sorted_from_the_worst(read_page, make_content):
    names = ["good", "bad", "absent"]
    labels = np.array([0, 0, 0, 1, 1])
    predicted = np.array([0, 0, 0, 0, 1])
    metrics = evaluate_probabilities(labels, np.eye(3)[predicted], names)
    page = read_page(make_content(names, data=DataSummary(), metrics=metrics))
    dash = "\N{EN DASH}"
    assert rows_of(section_of(page, "classes").find(".//table")) == [
        ["bad1 taken for good", "2", "100 %", "50 %", "67 %"],
        ["good", "3", "75 %", "100 %", "86 %"],
        ["absent", "0", dash, dash, dash],
    ]


@pytest.mark.parametrize(
    ("confidence", "verdict"),
    [
        (0.9, "90.0 % and is right 75.0 % of the time, so it is too sure"),
        (0.6, "60.0 % and is right 75.0 % of the time, so it is too modest"),
        (0.76, "76.0 % and is right 75.0 % of the time. The"),
    ],
)
def test_calibration_is_put_into_words(
    read_page, make_content, text_of, confidence, verdict
):
    names = ["a", "b"]
    answers = np.tile([confidence, 1 - confidence], (4, 1))
    metrics = evaluate_probabilities(np.array([0, 0, 0, 1]), answers, names)
    page = read_page(make_content(names, data=DataSummary(), metrics=metrics))
    section = section_of(page, "calibration")
    assert verdict in text_of(section)
    assert f"{100 * abs(confidence - 0.75):.1f} %." in text_of(section)


def test_bars_of_the_reliability_diagram_are_the_bins(read_page, make_content):
    content = make_content()
    section = section_of(read_page(content), "calibration")
    filled = [b for b in content.metrics.reliability if b.count]
    bars = {
        kind: section.findall(f".//rect[@class='area {kind}']")
        for kind in ("correct", "wrong", "often")
    }
    for kind, height in [
        ("correct", [b.accuracy for b in filled]),
        ("wrong", [b.gap for b in filled]),
        ("often", [b.count for b in filled]),
    ]:
        drawn = np.array([float(bar.get("height")) for bar in bars[kind]])
        scale = drawn.sum() / sum(height)
        np.testing.assert_allclose(drawn, np.array(height) * scale, atol=0.02)


def test_mistakes_are_thumbnails_of_the_photos(
    read_page, make_content, text_of
):
    image = np.zeros((300, 600, 3), np.uint8)
    image[:, :300] = (250, 10, 10)
    mistake = Mistake(image, "test/cat/7.jpg", "cat", "dog", 0.987)
    section = section_of(
        read_page(make_content(mistakes=[mistake])), "mistakes"
    )
    shown = section.find(".//img")
    data = base64.b64decode(shown.get("src").partition("base64,")[2])
    thumbnail = Image.open(io.BytesIO(data))
    assert (thumbnail.format, thumbnail.size) == ("JPEG", (160, 80))
    np.testing.assert_allclose(
        np.array(thumbnail)[40, [20, 140]], [(250, 10, 10), (0, 0, 0)], atol=12
    )
    assert shown.get("alt").replace("\xa0", " ") == (
        "test/cat/7.jpg: cat, taken for dog with 98.7 %"
    )
    assert "cat taken for dog , 98.7 % 7.jpg" in text_of(section)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3000, 1, 3), (8, 8, 3)])
def test_odd_pictures_have_thumbnails_too(read_page, make_content, shape):
    mistakes = [Mistake(np.zeros(shape, np.uint8), "odd", "a", "b", 1.0)]
    page = read_page(make_content(mistakes=mistakes))
    assert page.find(".//img").get("src").startswith("data:image/jpeg")


def test_timings_have_their_shares_and_sum(read_page, make_content, text_of):
    section = section_of(read_page(make_content()), "timings")
    assert rows_of(section.find(".//table")) == [
        ["data", "1.5 s", "2 %"],
        ["fine-tune", "1 min 38 s", "98 %"],
    ]
    assert "Together 1 min 40 s" in text_of(section)


def test_steps_without_time_have_no_share(read_page, make_content):
    section = section_of(
        read_page(make_content(timings=[("data", 0.0)])), "timings"
    )
    assert rows_of(section.find(".//table")) == [["data", "0.0 s", "0 %"]]


def test_nested_options_are_named_by_their_path(read_page, make_content):
    config = {"seed": 7, "fit": {"rate": 1e-4, "layers": ["a", 2]}}
    section = section_of(read_page(make_content(config=config)), "repeat")
    shown = {
        pair.findtext("dt"): "".join(pair.find("dd").itertext())
        for pair in section.find("dl")
    }
    assert shown == {"seed": "7", "fit.rate": "1e-4", "fit.layers": "a, 2"}
    assert section.findtext(".//code").startswith("dropzoo finetune")
