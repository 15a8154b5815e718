import errno
import os
import re
from dataclasses import replace

import numpy as np
import pytest

from dropzoo.evaluation import (
    Comparison,
    DataSummary,
    Mistake,
    ReportContent,
    write_report,
)

SECTIONS = {
    "result": "Result",
    "data": "What was found in the data",
    "model": "Model",
    "training": "Training",
    "confusion": "What is taken for what",
    "classes": "Class by class",
    "calibration": "Can its confidence be trusted?",
    "mistakes": "Most confident mistakes",
    "timings": "Where the time went",
    "repeat": "Repeat this run",
}
HOSTILE = '<script>alert("1")</script>\'"><img src=x onerror=alert(2)>'


def section_of(page, key):
    return page.find(f".//section[@id='{key}']")


def test_every_section_is_there_and_in_the_contents(
    read_page, make_content, text_of
):
    page = read_page(make_content())
    found = {
        section.get("id"): section.findtext("h2")
        for section in page.iter("section")
    }
    assert found == SECTIONS
    links = {a.get("href"): text_of(a) for a in page.find(".//nav")}
    assert links == {f"#{key}": heading for key, heading in found.items()}


def test_the_headline_says_accuracy_interval_and_gain(
    read_page, make_content, text_of
):
    content = make_content()
    low, high = content.metrics.accuracy_interval
    said = text_of(section_of(read_page(content), "result"))
    assert f"{100 * content.metrics.accuracy:.1f} % of 120 test images" in said
    assert f"{100 * low:.1f} % to {100 * high:.1f} %" in said
    assert "Head on frozen features" in said and "+0.0 points" in said
    assert "1 min 40 s" in said


@pytest.mark.parametrize("num_classes", [3, 30])
def test_nothing_is_fetched_or_run(read_page, make_content, num_classes):
    names = [f"https://example.org/{i}" for i in range(num_classes)]
    page = read_page(make_content(names))
    assert not list(page.iter("script"))
    for element in page.iter():
        for attribute, value in element.attrib.items():
            assert not attribute.startswith("on")
            if attribute in {"src", "href", "xlink:href", "action", "data"}:
                assert value.startswith(("#", "data:")), (element.tag, value)
            assert "url(" not in value
    style = page.findtext(".//style")
    assert not re.search(r"url\(|@import|https?:", style)
    policy = page.find(".//meta[@http-equiv='Content-Security-Policy']")
    assert policy.get("content").startswith("default-src 'none';")


@pytest.mark.parametrize("num_classes", [4, 30])
def test_foreign_text_is_shown_and_not_run(
    read_page, make_content, text_of, num_classes
):
    names = [f"{i}{HOSTILE}" for i in range(num_classes)]
    image = np.zeros((9, 9, 3), np.uint8)
    page = read_page(
        make_content(
            names,
            title=HOSTILE,
            summary=[HOSTILE],
            command=HOSTILE,
            data=DataSummary(
                warnings=[HOSTILE],
                lines=[HOSTILE],
                facts={HOSTILE: HOSTILE},
                counts={HOSTILE: [1] * num_classes},
                rejected=[(HOSTILE, HOSTILE)],
            ),
            history=[
                {"phase": HOSTILE, "loss": 1.0},
                {"phase": "other", "loss": 1.0},
            ],
            learning_rates={HOSTILE: np.ones(3), "head": np.ones(3)},
            comparison=Comparison({HOSTILE: 0.5}, HOSTILE, HOSTILE),
            mistakes=[Mistake(image, HOSTILE, HOSTILE, HOSTILE, 0.9)],
            timings=[(HOSTILE, 1.0)],
            model={HOSTILE: HOSTILE},
            config={HOSTILE: {HOSTILE: HOSTILE}},
            versions={HOSTILE: HOSTILE},
            evaluated_on=HOSTILE,
        )
    )
    assert not list(page.iter("script"))
    assert len(list(page.iter("img"))) == 1  # the mistake itself
    attributes = {name for element in page.iter() for name in element.attrib}
    assert not [name for name in attributes if name.startswith("on")]
    assert page.findtext(".//h1") == HOSTILE
    for key in SECTIONS:
        if key != "calibration":
            assert "<script>alert" in text_of(section_of(page, key)), key
    assert HOSTILE in page.find(".//img").get("alt")


def test_what_eyes_cannot_see_is_named(read_page, make_content):
    page = read_page(make_content([f"kind {i}" for i in range(30)]))
    assert page.find("html").get("lang") == "en"
    assert all(image.get("alt") for image in page.iter("img"))
    pictures = list(page.iter("svg"))
    assert len(pictures) == 5  # two curves, rates, matrix, calibration
    assert all(p.get("role") == "img" and p.get("aria-label") for p in pictures)
    for table in page.iter("table"):
        assert [th.get("scope") for th in table.findall("thead/tr/th")]
        assert all(th.get("scope") for th in table.iter("th"))
        assert all(row.find("th") is not None for row in table.iter("tr"))


def test_a_report_of_nothing_says_so(read_page, text_of):
    page = read_page(ReportContent(title="Nothing", class_names=["a", "b"]))
    assert [section.get("id") for section in page.iter("section")] == ["result"]
    assert "No images were left to measure" in text_of(page)


def test_names_of_any_script_and_kind_are_shown(read_page, make_content):
    names = ["苹果", "تفاح", "🍎", "a" * 300, "bad\udcff", "x\ny"]
    for repeat in (1, 5):  # numbers in cells, then a picture
        page = read_page(make_content(names * repeat))
        rows = section_of(page, "classes").iter("bdi")
        shown = {row.text for row in rows}
        assert {"苹果", "تفاح", "🍎", "a" * 300, "bad\\udcff"} <= shown


def test_the_same_content_makes_the_same_file(tmp_path, make_content):
    paths = [tmp_path / name for name in ("first.html", "second.html")]
    for path in paths:
        write_report(path, make_content())
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_thousand_classes_stay_a_page(tmp_path, make_content):
    path = tmp_path / "report.html"
    names = [f"kind number {i}" for i in range(1000)]
    write_report(path, make_content(names, num_examples=5000))
    assert path.stat().st_size < 600_000


def test_many_large_mistakes_stay_small(tmp_path, make_content):
    rng = np.random.default_rng(0)
    noise = rng.integers(256, size=(1500, 1000, 3), dtype=np.uint8)
    mistakes = [Mistake(noise, "n.jpg", "cat", "dog", 0.9)] * 100
    path = tmp_path / "report.html"
    write_report(path, make_content(mistakes=mistakes))
    # Noise is the worst case of JPEG: 48 thumbnails of 107 by 160 pixels.
    assert path.stat().st_size < 1_000_000


def test_long_histories_stay_small(tmp_path, make_content):
    path = tmp_path / "report.html"
    epochs = [{"loss": 1 / (i + 1), "val_loss": 1.0} for i in range(300)]
    rates = {f"group {i}": np.ones(200_000) for i in range(20)}
    write_report(path, make_content(history=epochs, learning_rates=rates))
    assert path.stat().st_size < 400_000


def test_a_report_is_replaced_as_a_whole(tmp_path, make_content):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, make_content())
    assert path.read_text().endswith("</html>\n")
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_full_disk_leaves_the_old_report(tmp_path, make_content, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def no_space(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_report(path, make_content())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_missing_folder_is_named(tmp_path, make_content):
    with pytest.raises(FileNotFoundError, match="folder of `path` must exist"):
        write_report(tmp_path / "absent" / "report.html", make_content())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ["a"]}, "`class_names`.*1 names for 3 classes"),
        (
            {"data": DataSummary(counts={"train": [1, 2]})},
            "`data.counts`.*2 counts in 'train' for 3 classes",
        ),
        (
            {"comparison": Comparison({"a": 0.5}, "b", "")},
            r"`comparison.kept` must be one of \['a'\]. Received: 'b'",
        ),
        (
            {"mistakes": [Mistake(np.zeros((9, 9)), "1.jpg", "", "", 1.0)]},
            r"`image` of a mistake.*float64 of shape \(9, 9\) for '1.jpg'",
        ),
    ],
)
def test_contradictions_are_refused_before_a_file_appears(
    tmp_path, make_content, changes, message
):
    content = replace(make_content(), **changes)
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path / "report.html", content)
    assert os.listdir(tmp_path) == []
