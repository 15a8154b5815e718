from dropzoo.data.findings import Duplicate, Findings, Rejection, Span
from dropzoo.evaluation import DataSummary

FINDINGS = Findings(
    source="folder:pets",
    class_names=("cat", "dog"),
    counts={"train": (5, 6), "test": (3, 2)},
    heights=Span(10, 20, 30),
    widths=Span(8, 8, 8),
    made_splits=("test",),
    rejected=(Rejection("dog/7.jpg", "it is cut off"),),
    duplicates=(
        Duplicate("cat/1.jpg", "test", "cat/0.jpg", "train"),
        Duplicate("cat/2.jpg", "test", "cat/0.jpg", "train"),
        Duplicate("cat/3.jpg", "train", "cat/0.jpg", "train"),
    ),
    ignored={".txt": 3, "hidden": 1},
    changes={"turned as the camera says": 1},
    notes=("a note",),
    warnings=("a warning",),
)


def test_findings_become_facts_and_sentences():
    summary = DataSummary.from_findings(FINDINGS)
    assert summary.facts == {
        "Source": "folder:pets",
        "Images used": 16,
        "Width in pixels": "8",
        "Height in pixels": "10 to 30, median 20",
        "Exact copies dropped": 3,
        "Rejected": 1,
        "Splits made here": "test",
    }
    assert summary.lines == [
        "2 images dropped from test: exact copies of images that stay in train",
        "1 image dropped from train: exact copies of images that stay in train",
        "1 image: turned as the camera says",
        "Files ignored: 3 .txt, 1 hidden",
        "a note",
    ]
    assert summary.warnings == ("a warning",)
    assert summary.counts == {"train": (5, 6), "test": (3, 2)}
    assert summary.rejected == [("dog/7.jpg", "it is cut off")]


def test_given_splits_are_said_to_be_given():
    findings = Findings("digits", ("a",), {"train": (1,)}, *[Span(8, 8, 8)] * 2)
    facts = DataSummary.from_findings(findings).facts
    assert facts["Splits made here"] == "none, all were given"
