import os
import unicodedata

import numpy as np
import pytest

from dropzoo.data import load
from dropzoo.data.folder import collect_folder


def names_by_class(collection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for label, name in zip(collection.labels, collection.names, strict=True):
        found.setdefault(collection.class_names[label], []).append(name)
    return found


def warnings_of(collection) -> str:
    return "\n".join(collection.warnings)


def test_each_sub_folder_is_a_class_in_sorted_order(make_folder):
    collection = collect_folder(str(make_folder({"pear": 1, "apple": 2})))
    assert collection.name == "photos"
    assert names_by_class(collection) == {
        "apple": ["apple/000.png", "apple/001.png"],
        "pear": ["pear/000.png"],
    }
    assert list(collection.class_names) == ["apple", "pear"]
    assert set(collection.splits) == {"train"}


def test_content_is_the_file(make_folder):
    root = make_folder({"a": 1, "b": 1})
    collection = collect_folder(str(root))
    assert collection.content(1) == (root / "b" / "000.png").read_bytes()


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_splits_above_the_classes_are_recognised(make_folder, val):
    counts = {
        f"{split}/{c}": 1 for split in ("train", val, "test") for c in "ab"
    }
    collection = collect_folder(str(make_folder(counts)))
    assert list(collection.class_names) == ["a", "b"]
    assert sorted(collection.splits) == (
        ["test"] * 2 + ["train"] * 2 + ["validation"] * 2
    )
    for name, split in zip(collection.names, collection.splits, strict=True):
        assert name.startswith(val if split == "validation" else split)


def test_train_alone_is_a_split(make_folder):
    collection = collect_folder(str(make_folder({"train/a": 1, "train/b": 1})))
    assert list(collection.class_names) == ["a", "b"]


def test_train_among_other_classes_is_a_class(make_folder):
    root = make_folder({"train": 2, "plane": 2, "car": 2})
    collection = collect_folder(str(root))
    assert list(collection.class_names) == ["car", "plane", "train"]
    assert collection.warnings == []


@pytest.mark.parametrize(
    "beside",
    [{"train": 2, "docs": 2}, {"train/a": 2, "docs": 2, "more": 2}],
)
def test_train_that_could_be_a_split_is_a_class_aloud(make_folder, beside):
    collection = collect_folder(str(make_folder(beside)))
    assert "train" in collection.class_names
    assert "'train' is taken for a class, because beside it stands 'docs'" in (
        warnings_of(collection)
    )


def test_one_class_only_names_the_folder_beside_train(make_folder):
    root = make_folder({"train/a": 2, "train/b": 2, "docs": 0})
    with pytest.raises(ValueError, match="1, 'train'; .* stands 'docs': move"):
        load(str(root))


def test_what_stands_beside_the_splits_is_ignored_aloud(make_folder):
    root = make_folder({"train/a": 1, "train/b": 1, "test/a": 1, "docs": 1})
    collection = collect_folder(str(root))
    assert list(collection.class_names) == ["a", "b"]
    assert "beside the splits: 'docs'" in warnings_of(collection)


@pytest.mark.parametrize("names", [["test"], ["val", "test"]])
def test_splits_without_train_are_splits(make_folder, names):
    counts = {f"{name}/{c}": 1 for name in names for c in "ab"}
    collection = collect_folder(str(make_folder(counts)))
    assert list(collection.class_names) == ["a", "b"]
    assert "train" not in collection.splits
    assert len(set(collection.splits)) == len(names)


def test_test_among_other_classes_is_a_class(make_folder):
    collection = collect_folder(str(make_folder({"test": 2, "exam": 2})))
    assert list(collection.class_names) == ["exam", "test"]
    assert set(collection.splits) == {"train"}


def test_a_split_named_twice_is_refused(make_folder):
    root = make_folder({"train/a": 1, "val/a": 1, "valid/a": 1})
    with pytest.raises(ValueError, match="name each split once.*'valid'"):
        collect_folder(str(root))


def test_images_in_nested_folders_belong_to_the_class(make_folder):
    root = make_folder({"a": 1, "a/more/deep": 1, "b": 1})
    assert names_by_class(collect_folder(str(root)))["a"] == [
        "a/000.png",
        "a/more/deep/000.png",
    ]


def test_hidden_and_other_files_are_ignored_and_counted(make_folder):
    root = make_folder({"a": 1, "b": 1, "a/.thumbnails": 2, "__MACOSX": 1})
    for name in (".DS_Store", "._000.png", "notes.txt", "NOTES.TXT", "README"):
        (root / "a" / name).write_text("x")
    collection = collect_folder(str(root))
    assert collection.names == ["a/000.png", "b/000.png"]
    assert collection.ignored == {
        "hidden": 4,  # two files, .thumbnails, __MACOSX
        ".txt": 2,
        "without a suffix": 1,
    }


def test_suffixes_count_in_any_case(make_folder):
    root = make_folder({"a": 1, "b": 1})
    os.rename(root / "a" / "000.png", root / "a" / "000.PNG")
    assert "a/000.PNG" in collect_folder(str(root)).names


def test_images_outside_any_class_are_ignored_aloud(make_folder):
    root = make_folder({"a": 1, "b": 1, ".": 3})
    collection = collect_folder(str(root))
    assert len(collection.names) == 2
    assert "3 images directly in" in warnings_of(collection)
    assert collection.ignored["images outside any class folder"] == 3


def test_empty_class_folder_is_left_out_aloud(make_folder):
    collection = collect_folder(str(make_folder({"a": 1, "b": 1, "none": 0})))
    assert list(collection.class_names) == ["a", "b"]
    assert "without any image are left out: 'none'" in warnings_of(collection)


def test_unicode_names(make_folder):
    root = make_folder({"Äpfel 🍎": 1, "梨": 1})
    collection = collect_folder(str(root))
    assert list(collection.class_names) == ["Äpfel 🍎", "梨"]
    assert collection.content(0) and collection.content(1)


def test_one_class_spelled_in_two_unicode_forms_is_one_class(make_folder):
    composed, decomposed = (
        unicodedata.normalize(form, "pêche") for form in ("NFC", "NFD")
    )
    root = make_folder(
        {f"train/{composed}": 1, f"test/{decomposed}": 1, "train/b": 1}
    )
    assert list(collect_folder(str(root)).class_names) == ["b", composed]


def test_names_that_are_not_utf8_can_be_printed(tmp_path, make_folder):
    root = make_folder({"a": 1, "b": 1})
    os.rename(
        root / "a" / "000.png", os.fsencode(root / "a") + b"/\xff\x1b.png"
    )
    collection = collect_folder(str(root))
    collection.names[0].encode("utf-8")
    assert collection.names[0].isprintable()
    assert collection.content(0)


def test_names_as_long_as_they_may_be(make_folder):
    long = "x" * 251
    root = make_folder({"a" * 255: 1, "b": 1})
    os.rename(root / "b" / "000.png", root / "b" / f"{long}.png")
    collection = collect_folder(str(root))
    assert f"b/{long}.png" in collection.names
    assert collection.content(1)


def test_a_folder_named_like_a_photo_is_a_folder(make_folder):
    root = make_folder({"a": 1, "b/x.jpg": 1})
    assert "b/x.jpg/000.png" in collect_folder(str(root)).names


def test_a_link_back_to_the_root_is_not_followed(make_folder):
    root = make_folder({"a": 1, "b": 1})
    (root / "a" / "loop").symlink_to(root, target_is_directory=True)
    collection = collect_folder(str(root))
    assert collection.names == ["a/000.png", "b/000.png"]
    (rejection,) = collection.rejected
    assert rejection.name == "a/loop"
    assert "link to a folder that is read already" in rejection.reason


def test_a_link_to_the_folder_it_is_in_is_not_followed(make_folder):
    root = make_folder({"a/inner": 1, "b": 1})
    (root / "a" / "inner" / "loop").symlink_to(root / "a" / "inner")
    collection = collect_folder(str(root))
    assert len(collection.names) == 2
    assert collection.rejected[0].name == "a/inner/loop"


def test_a_link_to_itself_is_rejected_by_name(make_folder):
    root = make_folder({"a": 5, "b": 5})
    (root / "a" / "self.png").symlink_to(root / "a" / "self.png")
    (root / "self").symlink_to(root / "self")
    findings = load(f"folder:{root}").findings
    (rejection,) = findings.rejected
    assert rejection.name == "a/self.png"
    assert "cannot be read" in rejection.reason


def test_linked_classes_and_files_are_read(tmp_path, make_folder):
    elsewhere = make_folder({"stock": 2}, root=tmp_path / "elsewhere")
    root = make_folder({"a": 1, "b": 0})
    (root / "c").symlink_to(elsewhere / "stock", target_is_directory=True)
    (root / "b" / "x.png").symlink_to(elsewhere / "stock" / "000.png")
    assert names_by_class(collect_folder(str(root))) == {
        "a": ["a/000.png"],
        "b": ["b/x.png"],
        "c": ["c/000.png", "c/001.png"],
    }


@pytest.mark.parametrize("link", ["0-first", "z-last"])
def test_a_second_name_of_a_class_folder_is_left_out_aloud(make_folder, link):
    root = make_folder({"a": 3, "b": 3})
    (root / link).symlink_to(root / "a", target_is_directory=True)
    collection = collect_folder(str(root))
    assert list(collection.class_names) == ["a", "b"]
    assert warnings_of(collection) == (
        f"'{link}' is left out: it is another name of the class folder 'a'"
    )


def test_a_class_of_one_split_may_be_linked_into_another(make_folder):
    root = make_folder({"train/a": 1, "train/b": 1, "test": 0})
    (root / "test" / "a").symlink_to(root / "train" / "a")
    collection = collect_folder(str(root))
    assert "test/a/000.png" in collection.names
    assert collection.warnings == []


def test_a_folder_that_cannot_be_listed_is_rejected(make_folder, monkeypatch):
    root = make_folder({"a": 1, "b": 1, "locked": 1})
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    collection = collect_folder(str(root))
    assert list(collection.class_names) == ["a", "b"]
    assert collection.rejected[0].name == "locked"
    assert "cannot be listed: Permission" in collection.rejected[0].reason


def test_photos_without_class_folders_are_refused(make_folder):
    root = make_folder({".": 3})
    with pytest.raises(ValueError, match="must hold a sub-fol.*3 images direc"):
        collect_folder(str(root))


def test_splits_without_class_folders_are_refused(make_folder):
    root = make_folder({"train": 3, "test": 1})
    with pytest.raises(ValueError, match="1 image directly in 'test'"):
        collect_folder(str(root))


def test_a_root_that_cannot_be_listed_is_refused(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match="cannot be listed: Permission"):
        collect_folder(str(tmp_path))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no image file in any sub-folder"):
        collect_folder(str(tmp_path))


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder.*nowhere"):
        collect_folder(str(tmp_path / "nowhere"))


def test_a_file_instead_of_a_folder_is_refused(tmp_path):
    (tmp_path / "x.jpg").touch()
    with pytest.raises(NotADirectoryError, match="must be a folder"):
        collect_folder(str(tmp_path / "x.jpg"))


def test_the_home_folder_may_be_written_as_tilde(make_folder, monkeypatch):
    root = make_folder({"a": 1, "b": 1})
    monkeypatch.setenv("HOME", str(root.parent))
    assert len(collect_folder("~/photos").names) == 2


def test_order_does_not_depend_on_the_file_system(make_folder, monkeypatch):
    root = make_folder({"a": 5, "b": 5})
    expected = collect_folder(str(root)).names
    scandir = os.scandir

    class Reversed:
        def __init__(self, path):
            with scandir(path) as scan:
                self.entries = list(scan)

        def __enter__(self):
            return sorted(self.entries, key=lambda e: e.name, reverse=True)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Reversed)
    assert collect_folder(str(root)).names == expected
    assert np.array_equal(expected, sorted(expected))
