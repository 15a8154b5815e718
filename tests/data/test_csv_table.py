from pathlib import Path

import pytest

from dropzoo.data import load
from dropzoo.data.csv_table import collect_csv


@pytest.fixture
def table(tmp_path):
    def write(text: str | bytes) -> str:
        path = tmp_path / "photos.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def refused(kind: type[Exception], text: str, path: str) -> None:
    with pytest.raises(kind, match=text):
        collect_csv(path)


def test_paths_are_relative_to_the_table(table, tmp_path, make_photo):
    make_photo(tmp_path / "sub" / "1.png", 1)
    collection = collect_csv(table("path,label\nsub/1.png,cat\n2.png,dog\n"))
    assert collection.name == "photos"
    assert collection.names == ["sub/1.png", "2.png"]
    assert collection.class_names == ["cat", "dog"]
    assert collection.labels.tolist() == [0, 1]
    expected = (tmp_path / "sub" / "1.png").read_bytes()
    assert collection.content(0) == expected


def test_paths_may_be_absolute(table, tmp_path, make_photo):
    make_photo(tmp_path / "elsewhere" / "1.png")
    path = tmp_path / "elsewhere" / "1.png"
    assert collect_csv(table(f"path,label\n{path},cat\n")).content(0)


def test_splits_are_read_where_given(table):
    collection = collect_csv(
        table(
            "split,label,path\ntrain,a,1\nVal,a,2\ntest,a,3\nvalidation,a,4\n"
        )
    )
    assert collection.splits.tolist() == [
        "train",
        "validation",
        "test",
        "validation",
    ]


def test_without_splits_everything_is_for_training(table):
    splits = collect_csv(table("path,label\n1,a\n2,b\n")).splits
    assert splits.tolist() == ["train", "train"]


def test_whole_numbers_are_sorted_by_value(table):
    names = collect_csv(table("path,label\n1,10\n2,9\n3,-1\n")).class_names
    assert names == ["-1", "9", "10"]


@pytest.mark.parametrize("labels", [("10", "9", "x"), ("010", "9", "10")])
def test_other_labels_are_sorted_as_text(table, labels):
    rows = "".join(f"{label}.png,{label}\n" for label in labels)
    names = collect_csv(table(f"path,label\n{rows}")).class_names
    assert names == sorted(labels)


def test_a_spreadsheet_s_byte_order_mark_is_no_column(table):
    collection = collect_csv(table(b"\xef\xbb\xbfpath,label\r\n1.png,a\r\n"))
    assert collection.names == ["1.png"]


def test_quoted_commas_and_unicode(table):
    collection = collect_csv(table('path,label\n"a,b.png","Äpfel, rot"\n'))
    assert collection.names == ["a,b.png"]
    assert collection.class_names == ["Äpfel, rot"]


def test_missing_files_are_rejected_and_counted(table, tmp_path, make_photo):
    rows = "gone.png,a\nnot/there.png,b\n"
    for number in range(8):
        make_photo(tmp_path / f"{number}.png", number)
        rows += f"{number}.png,{'ab'[number % 2]}\n"
    findings = load("csv:" + table("path,label\n" + rows)).findings
    assert [r.name for r in findings.rejected] == ["gone.png", "not/there.png"]
    assert "No such file" in findings.rejected[0].reason


def test_a_row_without_path_or_label_is_rejected_by_line(table):
    collection = collect_csv(table("path,label\n1.png,a\n2.png\n3.png, \n,b\n"))
    assert collection.names == ["1.png"]
    assert [(r.name, r.reason) for r in collection.rejected] == [
        ("2.png", "the table gives no label"),
        ("3.png", "the table gives no label"),
        ("line 5", "the table gives no path"),
    ]


@pytest.mark.parametrize(
    "header", ["file,class", "path", "label", "Path,label"]
)
def test_missing_columns_are_refused(table, header):
    path = table(f"{header}\n1.png,a\n")
    refused(
        ValueError, f"columns path and label. Received: .*{header[:4]}", path
    )


def test_an_empty_table_is_refused(table):
    refused(ValueError, "columns path and label. Received: none", table(""))


def test_a_column_named_twice_is_refused(table):
    path = table("path,label,label\n1.png,a,b\n")
    refused(ValueError, "name each column once", path)


def test_a_table_without_rows_is_refused(table):
    refused(ValueError, "name at least one image", table("path,label\n"))


def test_an_unknown_split_is_refused_by_line(table):
    path = table("path,label,split\n1.png,a,train\n2.png,b,holdout\n")
    refused(ValueError, "line 3: `split` must be one of train.*holdout", path)


def test_an_empty_split_is_refused(table):
    path = table("path,label,split\n1.png,a,\n")
    refused(ValueError, "line 2: `split` must be one of", path)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff\xe0 a photo",
        b"path,label\n\xe4.png,a\n",
        b'path,label\n"',
    ],
)
def test_what_is_no_utf8_table_is_refused(table, content):
    refused(ValueError, "comma-separated table in UTF-8", table(content))


def test_a_missing_table_is_refused(tmp_path):
    path = str(tmp_path / "none.csv")
    refused(FileNotFoundError, "no file.*none.csv", path)


def test_a_folder_is_refused(tmp_path):
    refused(OSError, "cannot be read: Is a directory", str(tmp_path))


def test_a_path_with_a_nul_is_rejected(table):
    collection = collect_csv(table("path,label\na\0.png,a\n"))
    assert collection.names == [r"a\x00.png"]


def test_other_columns_are_ignored(table):
    text = "id,path,label,price\n7,1.png,a,3.50\n"
    assert collect_csv(table(text)).names == ["1.png"]


def test_no_file_stays_open(table):
    before = len(list(Path("/proc/self/fd").iterdir()))
    refused(ValueError, "unknown|split", table("path,label,split\n1,a,x\n"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
