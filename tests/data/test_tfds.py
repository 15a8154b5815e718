import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import dropzoo.data.tfds as source
from dropzoo.data import load
from dropzoo.data.decoding import decode_image
from dropzoo.data.tfds_builder import image_and_label

tfds = pytest.importorskip("tensorflow_datasets")

# TensorFlow Datasets 4.9 itself warns of what it imports.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def pixels(split: str, index: int) -> np.ndarray:
    rng = np.random.default_rng([len(split), index])
    return rng.integers(0, 256, (9, 7 + index % 3, 3), dtype=np.uint8)


class Fruit(tfds.core.GeneratorBasedBuilder):
    """40 training and 10 test images of noise, two of them unlabelled."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "id": tfds.features.Scalar(np.int64),
            "picture": tfds.features.Image(shape=(None, None, 3)),
            "kind": tfds.features.ClassLabel(names=["pear", "apple"]),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples("train", 40),
            "test": self._generate_examples("test", 10),
            "extra": self._generate_examples("extra", 3),
        }

    def _generate_examples(self, split, count):
        for index in range(count):
            unlabelled = split == "train" and index < 2
            yield (
                index,
                {
                    "id": index,
                    "picture": pixels(split, index),
                    "kind": -1 if unlabelled else index % 2,
                },
            )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """One folder for each file format, the data set prepared within."""
    folder = tmp_path_factory.mktemp("tfds")
    for file_format in ("array_record", "tfrecord", "riegeli"):
        prepare(folder / file_format, file_format)
    return folder


def prepare(folder, file_format):
    if file_format == "riegeli":  # needs a package of its own to be written
        shutil.copytree(folder.parent / "tfrecord", folder)
        for info in folder.rglob("dataset_info.json"):
            text = info.read_text().replace('"tfrecord"', '"riegeli"')
            info.write_text(text)
        return
    Fruit(data_dir=folder, file_format=file_format).download_and_prepare()


@pytest.mark.parametrize("file_format", ["array_record", "tfrecord"])
def test_a_prepared_data_set_is_read_as_it_was_written(data_dir, file_format):
    folder = str(data_dir / file_format)
    collection = source.collect_tfds("fruit", folder)
    builder = tfds.builder("fruit", data_dir=folder)
    seen = 0
    for split in ("train", "test"):
        for index, example in enumerate(examples(builder, split)):
            if example["kind"] < 0:
                continue
            position = collection.names.index(f"{split}[{index}]")
            np.testing.assert_array_equal(
                decode_image(collection.content(position)), example["picture"]
            )
            assert collection.labels[position] == example["kind"]
            assert collection.splits[position] == split
            seen += 1
    assert seen == len(collection.names) == 48


def examples(builder, split):
    """A split's examples as TensorFlow Datasets itself decodes them."""
    if builder.info.file_format.value == "array_record":
        return builder.as_data_source(split=split)
    return tfds.as_numpy(builder.as_dataset(split=split))


@pytest.mark.parametrize("file_format", ["array_record", "tfrecord"])
def test_splits_and_class_names_are_the_data_set_s_own(data_dir, file_format):
    data = load("tfds:fruit", data_dir=str(data_dir / file_format))
    assert data.name == "fruit"
    assert data.class_names == ("pear", "apple")
    assert data.findings.made_splits == ("validation",)
    assert len(data.test) == 10
    assert len(data.train) + len(data.validation) == 38
    assert not data.flips_are_safe


def test_what_is_left_out_is_said(data_dir):
    notes = load(
        "tfds:fruit", data_dir=str(data_dir / "tfrecord")
    ).findings.notes
    assert "splits that are not used: extra" in notes
    assert "2 images of train have no label and are left out" in notes


def test_both_file_formats_load_the_same(data_dir):
    first, second = (
        load("tfds:fruit", data_dir=str(data_dir / file_format))
        for file_format in ("array_record", "tfrecord")
    )
    assert first.train.digests == second.train.digests
    assert first.validation.names == second.validation.names


def test_a_data_set_that_is_not_there_is_prepared(tmp_path):
    collection = source.collect_tfds("fruit", str(tmp_path))
    assert len(collection.names) == 48
    again = tfds.load("fruit", split="test", data_dir=tmp_path, download=False)
    assert len(again) == 10


def test_a_version_may_be_named(data_dir):
    folder = str(data_dir / "tfrecord")
    assert source.collect_tfds("fruit:1.0.0", folder).name == "fruit"


def test_another_file_format_is_refused(data_dir):
    with pytest.raises(ValueError, match="convert_format.*riegeli"):
        source.collect_tfds("fruit", str(data_dir / "riegeli"))


def test_a_truncated_tfrecord_is_refused(data_dir, tmp_path):
    shutil.copytree(data_dir / "tfrecord", tmp_path / "x")
    (shard,) = (tmp_path / "x").rglob("fruit-train.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(ValueError, match="end within record 40"):
        source.collect_tfds("fruit", str(tmp_path / "x"))


def test_a_damaged_record_is_refused(data_dir, tmp_path):
    shutil.copytree(data_dir / "tfrecord", tmp_path / "x")
    (shard,) = (tmp_path / "x").rglob("fruit-train.tfrecord*")
    content = bytearray(shard.read_bytes())
    content[12:40] = b"\xff" * 28
    shard.write_bytes(content)
    with pytest.raises(ValueError, match=r"train\[0\] cannot be read"):
        source.collect_tfds("fruit", str(tmp_path / "x"))


def test_a_data_set_of_tfds_itself_with_mocked_images():
    with tfds.testing.mock_data(num_examples=40):
        data = load("tfds:mnist")
        image = data.train.read(0)
    assert set(data.class_names) <= {str(digit) for digit in range(10)}
    assert image.shape == (28, 28, 3)
    assert len(data.train) + len(data.validation) + len(data.test) == 40


def test_an_image_folder_prepared_by_tfds(tmp_path, make_folder):
    root = make_folder({"train/b": 12, "train/a": 12, "test/a": 3, "test/b": 3})
    builder = tfds.ImageFolder(str(root))
    data = load(f"folder:{root}")
    assert list(data.class_names) == builder.info.features["label"].names
    assert len(data.test) == builder.info.splits["test"].num_examples


def test_an_unknown_name_offers_close_ones(tmp_path):
    with pytest.raises(ValueError, match="no data set 'mnit'.*mnist"):
        source.collect_tfds("mnit", str(tmp_path))


@pytest.mark.parametrize("name", ["mnist/gothic", "mnist:9.9.9"])
def test_an_unknown_config_or_version_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="cannot build 'mnist") as caught:
        source.collect_tfds(name, str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_failed_download_is_one_sentence(tmp_path, monkeypatch):
    def fail(self, **_):
        raise RuntimeError("no route\nto the host")

    builder = tfds.core.DatasetBuilder
    monkeypatch.setattr(builder, "download_and_prepare", fail)
    with pytest.raises(OSError, match="cannot download and prepare") as caught:
        source.collect_tfds("mnist", str(tmp_path))
    assert str(caught.value).endswith("'mnist': no route")


def info(**features) -> SimpleNamespace:
    return SimpleNamespace(name="x", features=features, supervised_keys=None)


def test_a_data_set_without_class_labels_is_refused():
    only_images = info(image=tfds.features.Image())
    with pytest.raises(ValueError, match=r"one ClassLabel.*image \(Image\)"):
        image_and_label(only_images)


def test_supervised_keys_decide_between_two_images():
    two = info(
        left=tfds.features.Image(),
        right=tfds.features.Image(),
        label=tfds.features.ClassLabel(num_classes=2),
    )
    with pytest.raises(ValueError, match="one Image and one ClassLabel"):
        image_and_label(two)
    two.supervised_keys = ("right", "label")
    assert image_and_label(two) == ("right", "label")


def test_floating_images_are_refused():
    depth = info(
        image=tfds.features.Image(shape=(4, 4, 1), dtype=np.float32),
        label=tfds.features.ClassLabel(num_classes=2),
    )
    with pytest.raises(ValueError, match="8 or 16 bits. Received: float32"):
        image_and_label(depth)


def test_no_known_split_is_refused():
    builder = SimpleNamespace(
        name="x", info=SimpleNamespace(splits={"evaluation": None})
    )
    with pytest.raises(ValueError, match="called train. Received: evaluation"):
        source._used_splits(builder)
