import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dropzoo.data import ImageError, load
from dropzoo.data.loading import SOURCES, load_given, locate


def lines(data) -> str:
    return "\n".join(data.findings.lines())


def names(data) -> set[str]:
    return {n for part in data.splits.values() for n in part.names}


# Sources and arguments.


@pytest.mark.slow(ci=True)
def test_loading_needs_neither_keras_nor_tensorflow(make_folder):
    root = make_folder({"a": 5, "b": 5})
    code = (
        "import sys; from dropzoo.data import load; "
        f"load({str(root)!r}); load('groceries', limit=20); "
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_a_bare_existing_path_is_a_folder(make_folder):
    root = make_folder({"a": 5, "b": 5})
    expected = load(f"folder:{root}").train.names
    assert load(str(root)).train.names == expected
    assert load(root).train.names == expected


def test_a_relative_path_is_a_folder(make_folder, monkeypatch):
    monkeypatch.chdir(make_folder({"a": 5, "b": 5}).parent)
    assert load("photos").name == "photos"


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("groseries", "groceries"),
        ("diggits", "digits"),
        ("tdfs:x", "tfds:NAME"),
    ],
)
def test_an_unknown_source_offers_close_ones(source, hint):
    with pytest.raises(ValueError, match=f"did you mean '{hint}'"):
        load(source)


def test_an_unknown_source_lists_all():
    with pytest.raises(ValueError, match="npz:FILE.*Received: source='qqqq'"):
        load("qqqq")


def test_a_missing_path_is_told_from_an_unknown_source(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load(str(tmp_path / "nowhere"))


def test_a_bare_file_is_refused_with_a_hint(tmp_path):
    (tmp_path / "x.npz").touch()
    with pytest.raises(NotADirectoryError, match="write npz:FILE or csv:FILE"):
        load(str(tmp_path / "x.npz"))


@pytest.mark.parametrize("source", ["folder:", "npz", "csv:", "tfds"])
def test_a_missing_argument_is_refused(source):
    kind = source.partition(":")[0]
    with pytest.raises(ValueError, match=f"must be written '{kind}:[A-Z]+'"):
        load(source)


@pytest.mark.parametrize("source", ["digits:x", "groceries:"])
def test_an_argument_too_many_is_refused(source):
    with pytest.raises(
        ValueError, match="must be written '(digits|groceries)'"
    ):
        load(source)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("seed", -1),
        ("limit", 0),
        ("validation_share", 1.0),
        ("validation_share", -0.1),
        ("test_share", 1.5),
        ("test_share", float("nan")),
    ],
)
def test_arguments_out_of_range_are_refused(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}` must be"):
        load("digits", **{argument: value})


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("seed", 1.5),
        ("seed", None),
        ("limit", 2.5),
        ("limit", "9"),
        ("source", 7),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused(argument, value):
    given = {"source": "digits", argument: value}
    with pytest.raises(TypeError, match=f"`{argument}` must be a"):
        load(**given)


def test_shares_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="below 1 together"):
        load("digits", validation_share=0.5, test_share=0.5)


def test_every_source_has_a_collector():
    assert list(SOURCES) == [
        "groceries",
        "digits",
        "cifar10",
        "fashion_mnist",
        "folder",
        "npz",
        "csv",
        "idx",
        "tfds",
    ]


# Reading.


def test_reading_gives_the_pixels_of_the_named_file(make_folder, make_photo):
    root = make_folder({"a": 10, "b": 10})
    data = load(str(root))
    for part in data.splits.values():
        for index, name in enumerate(part.names):
            expected = np.asarray(Image.open(root / name))
            np.testing.assert_array_equal(part.read(index), expected)
            assert name[0] == data.class_names[part.labels[index]]


def test_an_image_that_vanishes_later_is_named(make_folder):
    root = make_folder({"a": 5, "b": 5})
    train = load(str(root)).train
    shutil.rmtree(root)
    with pytest.raises(ImageError, match=f"'{train.names[0]}': it cannot be"):
        train.read(0)


def test_progress_counts_the_images(make_folder):
    calls = []
    root = make_folder({"a": 5, "b": 5})
    load(str(root), progress=lambda *call: calls.append(call))
    assert calls[-1] == (10, 10)


def test_a_second_run_decodes_nothing(make_folder, tmp_path, monkeypatch):
    root, cache = make_folder({"a": 5, "b": 5}), tmp_path / "cache"
    first = load(str(root), cache_dir=cache)
    monkeypatch.setattr("dropzoo.data.decode_check.decode", None)
    assert load(str(root), cache_dir=cache).findings == first.findings


# Splits.


def test_missing_splits_are_made_from_every_class(make_folder):
    data = load(str(make_folder({"a": 40, "b": 20})))
    counts = data.findings.counts
    assert counts == {"train": (28, 14), "validation": (6, 3), "test": (6, 3)}
    assert len(names(data)) == 60
    assert "9 test (made here)" in lines(data)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_equal_seeds_split_equally_and_others_differ(make_folder, split):
    root = str(make_folder({"a": 40, "b": 20}))
    shares = {"validation_share": 0, "test_share": 0, f"{split}_share": 0.2}
    first, again, other = (
        load(root, seed=seed, **shares).splits[split].names
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_given_splits_are_kept(make_folder):
    counts = {"train/a": 9, "train/b": 9, "val/a": 2, "val/b": 2}
    data = load(str(make_folder(counts | {"test/a": 3, "test/b": 3})))
    assert list(data.findings.counts.values()) == [(9, 9), (2, 2), (3, 3)]
    assert "18 train (given)" in lines(data)


def test_validation_is_made_from_train_beside_a_given_test(make_folder):
    counts = {"train/a": 20, "train/b": 20, "test/a": 3, "test/b": 3}
    data = load(str(make_folder(counts)))
    assert data.findings.counts["test"] == (3, 3)
    assert data.findings.made_splits == ("validation",)
    assert all(name.startswith("train/") for name in data.validation.names)
    assert len(data.validation) == 6


def test_train_without_test_gives_up_a_share_and_says_so(make_folder):
    counts = {"train/a": 20, "train/b": 20, "val/a": 3, "val/b": 3}
    data = load(str(make_folder(counts)))
    assert data.findings.counts["validation"] == (3, 3)
    assert len(data.test) == 6
    assert "test: 6 of 40 training images were held out" in lines(data)


def test_a_share_of_zero_makes_no_split(make_folder):
    root = str(make_folder({"a": 9, "b": 9}))
    data = load(root, validation_share=0, test_share=0)
    assert data.validation is None and data.test is None
    assert len(data.train) == 18
    assert "there is no validation split" in lines(data)


def test_one_image_in_a_class_is_trained_on_and_reported(make_folder):
    data = load(str(make_folder({"a": 20, "b": 20, "single": 1})))
    label = data.class_names.index("single")
    assert label in data.train.labels
    assert label not in data.test.labels
    assert "keep it for training: 'single'" in lines(data)
    assert "no image for test in 1 of 3 classes: 'single'" in lines(data)


def test_a_given_test_without_a_usable_image_is_replaced_aloud(make_folder):
    counts = {"train/a": 9, "train/b": 9, "test/a": 0}
    root = make_folder(counts)
    (root / "test" / "a" / "x.jpg").write_text("text")
    data = load(str(root))
    assert data.findings.made_splits == ("test", "validation")
    assert "the given test split has no usable image" in lines(data)


def test_classes_only_in_test_are_left_out_and_counted(make_folder):
    counts = {"train/a": 9, "train/c": 9, "test/a": 2, "test/b": 3, "test/c": 2}
    data = load(str(make_folder(counts)))
    assert data.class_names == ("a", "c")
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    assert "classes without a usable training image are left out: 'b'" in (
        lines(data)
    )
    assert "3 rejected because its class 'b' has no training image" in (
        lines(data)
    )


def test_one_class_is_refused(make_folder):
    with pytest.raises(ValueError, match="at least 2 classes.*1, 'only'"):
        load(str(make_folder({"only": 9, "empty": 0})))


def test_no_usable_image_is_refused_with_the_first_reason(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").touch()
    with pytest.raises(ValueError) as caught:
        load(str(tmp_path))
    assert str(caught.value).endswith(
        "must hold usable images. Received: none, 2 rejected, first "
        "'a/x.jpg' because the file is empty"
    )


@pytest.mark.parametrize("bad", [0, 1])
def test_nothing_to_learn_from_is_refused(make_folder, bad):
    root = make_folder({"train/a": 0, "test/a": 2, "val/b": 2})
    for number in range(bad):
        (root / "train" / "a" / f"{number}.jpg").touch()
    with pytest.raises(ValueError, match="usable training images") as caught:
        load(str(root))
    told = str(caught.value)
    assert "Received: images for validation and test only" in told
    assert told.endswith("because the file is empty") == bool(bad)


# As it is given.


def test_given_splits_are_given_and_none_is_made(make_folder):
    counts = {"train/a": 3, "test/a": 1, "test/b": 2}
    given = load_given(str(make_folder(counts)))
    assert {split: len(part) for split, part in given.splits.items()} == {
        "train": 3,
        "test": 3,
    }
    # A class that is not taught is kept all the same.
    assert given.class_names == ("a", "b")
    assert given.splits["test"].labels.tolist() == [0, 1, 1]
    assert given.findings.counts["test"] == (1, 2)


def test_one_class_is_enough_to_be_given(make_folder):
    given = load_given(str(make_folder({"only": 4})))
    assert given.class_names == ("only",)
    assert len(given.splits["train"]) == 4


def test_test_alone_is_given(make_folder):
    given = load_given(str(make_folder({"test/a": 2, "test/b": 1})))
    assert list(given.splits) == ["test"]
    assert given.splits["test"].names[0] == "test/a/000.png"
    assert "3 test (given)" in lines(given)


def test_no_usable_image_cannot_be_given(make_folder):
    root = make_folder({"a": 0})
    (root / "a" / "x.jpg").touch()
    with pytest.raises(ValueError, match="must hold usable images. .* 1 rej"):
        load_given(str(root))


def test_a_source_is_found_however_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = ("folder", os.path.realpath(tmp_path / "photos"))
    for source in (
        "photos",
        "photos/",
        "./photos",
        "~/photos",
        "link",
        "folder:photos",
        "folder:~/photos",
        "folder:photos/../link",
        f"folder:{tmp_path}/photos",
    ):
        assert locate(source) == expected
    assert locate("npz:./a.npz") == locate("npz:~/a.npz")
    assert locate("npz:a") != locate("csv:a") != locate("folder:a")
    assert locate("tfds:mnist") == ("tfds", "mnist")
    assert locate("groceries") == ("groceries", "")


# Duplicates.


def test_a_copy_in_train_of_a_test_photo_is_dropped(make_folder):
    counts = {"train/a": 9, "train/b": 9, "test/a": 2, "test/b": 2}
    root = make_folder(counts)
    shutil.copy(root / "test/a/000.png", root / "train/a/leak.png")
    data = load(str(root))
    assert "train/a/leak.png" not in names(data)
    assert "test/a/000.png" in data.test.names
    assert "dropped from train, a copy stays in test: 'train/a/leak.png'" in (
        lines(data)
    )


def test_one_photo_under_two_labels_is_dropped_twice(make_folder):
    root = make_folder({"a": 9, "b": 9})
    shutil.copy(root / "a/000.png", root / "b/same.png")
    data = load(str(root))
    assert not {"a/000.png", "b/same.png"} & names(data)
    assert "2 rejected because the same image is labelled 'a' and 'b'" in (
        lines(data)
    )


# The limit.


def test_limit_cuts_train_to_it_and_the_rest_in_proportion(make_folder):
    data = load(str(make_folder({"a": 40, "b": 20})), limit=21)
    assert data.findings.counts == {
        "train": (14, 7),
        "validation": (3, 2),
        "test": (3, 2),
    }
    assert "limited to 21 of 42 training images" in lines(data)


def test_limited_splits_are_parts_of_the_whole_ones(make_folder):
    root = str(make_folder({"a": 40, "b": 20}))
    whole, part = load(root), load(root, limit=10)
    for split in whole.splits:
        assert set(part.splits[split].names) < set(whole.splits[split].names)


def test_a_limit_above_the_number_changes_nothing(make_folder):
    root = str(make_folder({"a": 9, "b": 9}))
    assert load(root, limit=10**6).findings == load(root).findings


def test_a_limit_below_the_number_of_classes_is_refused():
    with pytest.raises(ValueError, match="`limit` must be at least 10"):
        load("digits", limit=9)


# Flips.


@pytest.mark.parametrize(("side", "safe"), [(64, False), (65, True)])
def test_flips_are_safe_for_images_above_64_pixels(
    tmp_path, make_photo, side, safe
):
    for number in range(10):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        make_photo(path, number, height=side, width=200)
    assert load(str(tmp_path)).flips_are_safe is safe


# A folder of everything that can be wrong.


def test_hostile_files_are_counted_and_the_rest_is_used(make_folder):
    root = make_folder({"a": 10, "b": 10})
    jpeg = root / "a" / "good.jpg"
    Image.open(root / "a" / "000.png").resize((99, 99)).save(jpeg)
    content = jpeg.read_bytes()
    (root / "a" / "truncated.jpg").write_bytes(content[: len(content) // 2])
    (root / "a" / "empty.jpg").touch()
    (root / "a" / "text.jpg").write_text("text")
    (root / "b" / "link.jpg").symlink_to("nowhere")
    (root / "b" / "bomb.pbm").write_bytes(b"P4 30000 30000\n")
    Image.new("RGB", (1, 1)).save(root / "b" / "dot.png")
    Image.new("CMYK", (80, 80), 7).save(root / "b" / "ink.jpg")
    Image.new("RGBA", (80, 80), (1, 2, 3, 4)).save(root / "b" / "clear.png")
    data = load(str(root))
    assert {r.name: r.reason for r in data.findings.rejected} == {
        "a/empty.jpg": "the file is empty",
        "a/text.jpg": "it is not an image of a kind that is read (JPEG, PNG, "
        "GIF, BMP, WEBP, TIFF, PPM, AVIF, JPEG2000)",
        "a/truncated.jpg": "it is truncated: its end is missing",
        "b/bomb.pbm": "it has more than 89,478,485 pixels: make it smaller",
        "b/dot.png": "its 1 x 1 pixels show nothing: each side must have at "
        "least 2",
        "b/link.jpg": "it cannot be read: No such file or directory",
    }
    assert data.findings.changes == {
        "CMYK converted to RGB": 1,
        "laid over white": 1,
    }
    assert len(names(data)) == 23


# Memory.

MEASURE = """
import sys
import psutil
from dropzoo.data import load
data = load(sys.argv[1], cache_dir=sys.argv[2])
for index in range(0, len(data.train), 7):
    data.train.read(index)
print(psutil.Process().memory_info().rss)
"""


def megabytes_after_loading(root, cache) -> float:
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(root), str(cache)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(run.stdout) / 2**20


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_photos(tmp_path):
    rng = np.random.default_rng(0)
    used = {}
    for count in (2_000, 20_000):
        root = tmp_path / str(count)
        for number in range(count):
            path = root / f"class {number % 10}" / f"photo {number:06}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
        used[count] = megabytes_after_loading(root, tmp_path / "cache")
    assert used[20_000] - used[2_000] < 50
