import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from dropzoo.data import load
from dropzoo.data.idx import MOST_BYTES, read_idx


def idx(values: np.ndarray) -> bytes:
    """The file format: zero, zero, type 8, axes; sizes; bytes."""
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    return {
        "train-images-idx3": rng.integers(0, 256, (40, 9, 8), "uint8"),
        "train-labels-idx1": np.arange(40, dtype="uint8") % 3,
        "t10k-images-idx3": rng.integers(0, 256, (6, 9, 8), "uint8"),
        "t10k-labels-idx1": np.arange(6, dtype="uint8") % 3,
    }


@pytest.fixture
def folder(tmp_path, parts) -> Path:
    """The files of MNIST, two of them packed."""
    for name, values in parts.items():
        if name.startswith("train"):
            packed = gzip.compress(idx(values))
            (tmp_path / f"{name}-ubyte.gz").write_bytes(packed)
        else:
            (tmp_path / f"{name}-ubyte").write_bytes(idx(values))
    return tmp_path


def test_images_labels_and_the_test_split_are_read(folder, parts):
    data = load(f"idx:{folder}", validation_share=0)
    assert data.name == folder.name
    assert data.class_names == ("0", "1", "2")
    for part, name in ((data.train, "train"), (data.test, "t10k")):
        images, labels = (
            parts[f"{name}-{kind}"] for kind in ("images-idx3", "labels-idx1")
        )
        assert part.labels.tolist() == labels.tolist()
        read = np.stack([part.read(index) for index in range(len(part))])
        np.testing.assert_array_equal(read, np.stack([images] * 3, axis=-1))
    assert data.test.names[3] == "test[3]"
    assert not data.flips_are_safe  # digits, as far as anybody knows


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda file: b"", "does not begin"),
        (lambda file: file[:7], "does not begin"),
        (lambda file: b"\0\0\x0d\3" + file[4:], "does not begin"),  # floats
        (lambda file: b"\0\0\x08\1" + file[4:], "does not begin"),
        (lambda file: file[:-1], "fewer values"),
        (lambda file: file + b"\0", "more values"),
        (lambda file: file[:4] + b"\xff" * 12, "says to hold"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_file_is_refused(folder, parts, change, reason, packed):
    name = "train-images-idx3"
    content = change(idx(parts[name]))
    (folder / f"{name}-ubyte.gz").unlink()
    if packed:
        (folder / f"{name}-ubyte.gz").write_bytes(gzip.compress(content))
    else:
        (folder / f"{name}-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=f"is damaged.*{reason}"):
        load(f"idx:{folder}")


@pytest.mark.parametrize("change", [lambda x: x[:-12], lambda x: b"x" + x])
def test_a_damaged_archive_is_refused(folder, change):
    file = folder / "train-labels-idx1-ubyte.gz"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(ValueError, match="is damaged"):
        load(f"idx:{folder}")


def test_a_flipped_bit_in_an_archive_is_refused(folder):
    file = folder / "train-images-idx3-ubyte.gz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="is damaged"):
        load(f"idx:{folder}")


def test_sizes_that_disagree_are_refused(folder):
    labels = np.zeros(5, "uint8")
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(labels))
    with pytest.raises(ValueError, match="5 labels for 6 images"):
        load(f"idx:{folder}")


def test_a_missing_file_is_named(folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="t10k-labels-idx1-ubyte"):
        load(f"idx:{folder}")


def test_no_more_than_the_limit_is_taken_into_memory(tmp_path):
    file = tmp_path / "labels"
    size = struct.pack(">I", MOST_BYTES + 1)
    file.write_bytes(b"\0\0\x08\1" + size)
    with pytest.raises(ValueError, match="says to hold"):
        read_idx(file, axes=1)
