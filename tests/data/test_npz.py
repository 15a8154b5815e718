import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dropzoo.data import load
from dropzoo.data.npz import collect_npz


def images(count: int, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, *(shape or (9, 8, 3))), dtype=np.uint8)


@pytest.fixture
def archive(tmp_path):
    def write(**arrays) -> str:
        path = tmp_path / "photos.npz"
        np.savez(path, **arrays)
        return str(path)

    return write


def refused(kind: type[Exception], text: str, path: str) -> None:
    with pytest.raises(kind, match=text):
        collect_npz(path)


def test_given_splits_keep_images_and_labels(archive):
    x, x_val, x_test = images(6), images(3), images(4)
    path = archive(
        x_train=x,
        y_train=[0, 1, 2] * 2,
        x_val=x_val,
        y_val=[0, 1, 2],
        x_test=x_test,
        y_test=[2, 2, 1, 0],
    )
    data = load(f"npz:{path}")
    assert data.name == "photos"
    assert data.class_names == ("0", "1", "2")
    assert data.findings.made_splits == ()
    for part, expected in zip(
        (data.train, data.validation, data.test),
        (x, x_val, x_test),
        strict=True,
    ):
        read = [part.read(index) for index in range(len(part))]
        np.testing.assert_array_equal(read, expected)
    assert data.test.labels.tolist() == [2, 2, 1, 0]
    assert data.test.names[3] == "x_test[3]"


@pytest.mark.parametrize("pair", [("x", "y"), ("images", "labels")])
def test_arrays_without_splits(archive, pair):
    path = archive(**{pair[0]: images(40), pair[1]: np.arange(40) % 2})
    data = load(f"npz:{path}")
    assert data.findings.made_splits == ("test", "validation")
    assert len(data.train) + len(data.validation) + len(data.test) == 40


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 1)])
def test_grey_images_become_rgb(archive, shape):
    x = images(4, *shape)
    collection = collect_npz(archive(x=x, y=[0, 1, 0, 1]))
    rgb = collection.content(2)
    assert rgb.shape == (9, 8, 3)
    np.testing.assert_array_equal(rgb[..., 1], x[2].reshape(9, 8))


def test_float_images_in_0_to_1_are_scaled_and_said(archive):
    x = images(20).astype(np.float32) / 255
    data = load("npz:" + archive(x=x, y=np.arange(20) % 2))
    assert any("[0, 1] were scaled" in note for note in data.findings.notes)
    kept = int(data.train.names[0].removeprefix("x[").removesuffix("]"))
    np.testing.assert_array_equal(data.train.read(0), images(20)[kept])


@pytest.mark.parametrize("bad", [np.nan, -0.5, 256.0, np.inf])
def test_float_images_out_of_range_are_refused(archive, bad):
    x = np.full((4, 9, 8, 3), 0.5)
    x[2, 1, 1, 1] = bad
    refused(ValueError, "`x` must hold finite", archive(x=x, y=[0, 1, 0, 1]))


def test_labels_with_gaps_are_renumbered_and_keep_their_names(archive):
    path = archive(x=images(6), y=[10, -1, 7, 10, -1, 7])
    collection = collect_npz(path)
    assert collection.class_names == ("-1", "7", "10")
    assert collection.labels.tolist() == [2, 0, 1, 2, 0, 1]


def test_text_labels_are_class_names(archive):
    collection = collect_npz(archive(x=images(3), y=["b", "a", "b"]))
    assert collection.class_names == ("a", "b")
    assert collection.labels.tolist() == [1, 0, 1]


def test_labels_may_be_a_column(archive):
    path = archive(x=images(3), y=[[1], [0], [1]])
    assert collect_npz(path).labels.tolist() == [1, 0, 1]


def test_one_hot_labels_are_refused(archive):
    path = archive(x=images(3), y=np.eye(3))
    refused(ValueError, r"`y` must have shape \(3,\).*one-hot", path)


def test_fewer_labels_than_images_are_refused(archive):
    path = archive(x=images(3), y=[0, 1])
    refused(ValueError, r"`y` must have shape \(3,\).*\(2,\)", path)


def test_floating_labels_are_refused(archive):
    path = archive(x=images(3), y=[0.0, 1.0, 0.5])
    refused(TypeError, "`y` must hold whole numbers or strings", path)


def test_labels_of_two_kinds_are_refused(archive):
    path = archive(
        x_train=images(2), y_train=[0, 1], x_test=images(2), y_test=["0", "1"]
    )
    refused(TypeError, "all hold numbers or all hold strings", path)


@pytest.mark.parametrize("shape", [(64,), (3, 9, 8), (9, 8, 4), (1, 1, 3)])
def test_images_of_a_wrong_shape_are_refused(archive, shape):
    path = archive(x=images(3, *shape), y=[0, 1, 0])
    refused(ValueError, "`x` must have shape", path)


@pytest.mark.parametrize("missing", ["x_train", "y_train", "y_test"])
def test_half_a_pair_is_refused(archive, missing):
    arrays = dict(x_train=images(2), y_train=[0, 1])
    arrays |= dict(x_test=images(2), y_test=[0, 1])
    del arrays[missing]
    refused(ValueError, f"must hold `{missing}` to go with", archive(**arrays))


def test_unknown_names_are_refused(archive):
    path = archive(pictures=images(2), classes=[0, 1])
    refused(ValueError, "must hold one pair of x_train and y_train", path)


def test_two_training_pairs_are_refused(archive):
    path = archive(x=images(2), y=[0, 1], images=images(2), labels=[0, 1])
    refused(ValueError, "one pair.*'images', 'labels', 'x', 'y'", path)


class Booby:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_pickled_arrays_are_refused_unexecuted(archive, tmp_path):
    trace = tmp_path / "executed"
    path = archive(x=np.array([Booby(trace)], dtype=object), y=[0])
    refused(ValueError, "pickled objects are refused", path)
    assert not trace.exists()
    with np.load(path, allow_pickle=True) as trusting:
        _ = trusting["x"]
    assert trace.exists()  # so this test would have noticed


def test_pickled_file_is_refused_unexecuted(tmp_path):
    trace, path = tmp_path / "executed", tmp_path / "x.npz"
    path.write_bytes(pickle.dumps(Booby(trace)))
    refused(ValueError, "pickled objects are refused", str(path))
    assert not trace.exists()
    pickle.loads(path.read_bytes())
    assert trace.exists()


def test_a_lone_array_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", images(2))
    refused(ValueError, "must be an .npz file", str(tmp_path / "x.npy"))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(archive, share):
    path = Path(archive(x=images(20), y=np.arange(20) % 2))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(ValueError, "must be an .npz file of plain arrays", str(path))


def test_a_damaged_member_is_refused(archive):
    path = Path(archive(x=images(20), y=np.arange(20) % 2))
    content = bytearray(path.read_bytes())
    content[2000] ^= 0xFF
    path.write_bytes(content)
    refused(ValueError, "must be an .npz file of plain arrays", str(path))


def test_a_zip_of_something_else_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", "text")
        file.writestr("y.npy", "text")
    refused(ValueError, "must be an .npz file of plain arrays", str(path))


def test_a_missing_file_is_refused(tmp_path):
    refused(FileNotFoundError, "no file.*none.npz", str(tmp_path / "none.npz"))


def test_a_folder_is_refused(tmp_path):
    refused(OSError, "cannot be read: Is a directory", str(tmp_path))


def test_arrays_that_do_not_fit_into_memory_are_refused(archive, monkeypatch):
    def refuse(*_, **__):
        raise MemoryError

    path = archive(x=images(2), y=[0, 1])
    monkeypatch.setattr(np, "load", refuse)
    refused(ValueError, "do not fit into memory", path)
