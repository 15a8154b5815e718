import json

from dropzoo.data import Findings
from dropzoo.data.findings import Duplicate, Rejection, Span


def findings(**changes) -> Findings:
    given = dict(
        source="folder:fruit",
        class_names=("apple", "pear"),
        counts={"train": (1200, 30), "test": (3, 4)},
        heights=Span(8, 300, 4000),
        widths=Span(348, 348, 348),
    )
    return Findings(**(given | changes))


def text(**changes) -> str:
    return "\n".join(findings(**changes).lines())


def test_counts_and_classes_come_first():
    assert findings().lines()[0] == (
        "folder:fruit: 2 classes, 1,230 train (given), 7 test (given)"
    )


def test_made_splits_are_told_from_given_ones():
    assert "1,230 train (the rest), 7 test (made here)" in text(
        made_splits=("test",)
    )


def test_sizes_show_median_where_they_differ():
    assert "width 348; height 8 to 4000, median 300" in text()


def test_rarest_and_commonest_class_are_named():
    assert "per class: 30 ('pear') to 1,200 ('apple')" in text()


def test_duplicates_are_told_by_place():
    lines = text(
        duplicates=(
            Duplicate("a", "train", "b", "test"),
            Duplicate("c", "test", "d", "test"),
        )
    )
    assert (
        "1 exact duplicate dropped from train, a copy stays in test: 'a'"
        in (lines)
    )
    assert "1 exact duplicate dropped from test, a copy stays there: 'c'" in (
        lines
    )


def test_rejections_are_grouped_by_reason():
    rejected = [Rejection(f"{i}.jpg", "the file is empty") for i in range(9)]
    assert (
        "9 rejected because the file is empty: '0.jpg', '1.jpg', '2.jpg', "
        "'3.jpg', '4.jpg' and 4 more"
    ) in text(rejected=tuple(rejected))


def test_many_reasons_are_summed_up():
    rejected = tuple(Rejection(f"{i}", f"reason {i}") for i in range(500))
    lines = findings(rejected=rejected).lines()
    assert len(lines) < 30
    assert "480 more rejected for other reasons" in lines


def test_ignored_files_changes_and_warnings_are_told():
    lines = text(
        ignored={".txt": 2, "hidden": 1},
        changes={"laid over white": 1},
        notes=("a note",),
        warnings=("look here",),
    )
    assert "3 files ignored: 2 .txt, 1 hidden" in lines
    assert "1 image: laid over white" in lines
    assert "a note" in lines
    assert "warning: look here" in lines


def test_the_dictionary_survives_json():
    made = findings(
        rejected=(Rejection("a", "b"),),
        duplicates=(Duplicate("a", "train", "b", "test"),),
    ).to_dict()
    assert json.loads(json.dumps(made)) == made
    assert made["counts"]["train"] == [1200, 30]
    assert made["heights"] == {"minimum": 8, "median": 300, "maximum": 4000}
    assert made["rejected"] == [{"name": "a", "reason": "b"}]
