"""A package of TensorFlow.js, packed and unpacked, whole and damaged."""

import io
import json
import tarfile

import numpy as np
import pytest
from tfjs_package import read_tfjs_package

TENSORS = {
    "conv1/kernel": np.arange(12, dtype="<f4").reshape(2, 2, 3, 1),
    "conv1/bias": np.array([2.5], "<f4"),
    "fc/kernel": np.linspace(0, 1, 6, dtype="<f4").reshape(2, 3),
}


def files(**changes):
    """A model of two shards, of which the first ends inside a tensor."""
    content = b"".join(tensor.tobytes() for tensor in TENSORS.values())
    records = [
        {"name": name, "shape": list(tensor.shape), "dtype": "float32"}
        for name, tensor in TENSORS.items()
    ]
    records[0] |= changes
    model = {
        "modelTopology": {"model_config": {"config": {"layers": []}}},
        "weightsManifest": [{"paths": ["1.bin", "2.bin"], "weights": records}],
    }
    return {
        "model.json": json.dumps(model).encode(),
        "1.bin": content[:30],
        "2.bin": content[30:],
    }


def save_folder(path, contents):
    folder = path / "package"
    (folder / "net").mkdir(parents=True)
    for name, content in contents.items():
        (folder / "net" / name).write_bytes(content)
    return folder


def save_tarball(path, contents):
    file = path / "package.tgz"
    with tarfile.open(file, "w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(f"package/net/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file


either_kind = pytest.mark.parametrize("save", [save_folder, save_tarball])


@either_kind
def test_tensors_are_cut_out_of_the_shards(tmp_path, save):
    model = read_tfjs_package(save(tmp_path, files()), "net")
    assert list(model.tensors) == list(TENSORS)
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(model.tensors[name], tensor)
    assert model.config == {"layers": []}
    assert len(model.sha256) == 64


@either_kind
def test_a_missing_shard_is_named(tmp_path, save):
    contents = files()
    del contents["2.bin"]
    path = save(tmp_path, contents)
    with pytest.raises(FileNotFoundError, match=r"2\.bin"):
        read_tfjs_package(path, "net")


@either_kind
def test_a_shard_that_is_cut_off_is_refused(tmp_path, save):
    contents = files()
    contents["2.bin"] = contents["2.bin"][:-4]
    path = save(tmp_path, contents)
    with pytest.raises(ValueError, match="76 bytes by their list, but have 72"):
        read_tfjs_package(path, "net")


@pytest.mark.parametrize(
    "changes",
    [{"quantization": {"dtype": "uint8", "scale": 1}}, {"dtype": "int32"}],
)
def test_quantised_shards_are_refused(tmp_path, changes):
    path = save_folder(tmp_path, files(**changes))
    with pytest.raises(ValueError, match="plain float32"):
        read_tfjs_package(path, "net")


def test_another_file_is_refused(tmp_path):
    page = tmp_path / "page.tgz"
    page.write_text("<!DOCTYPE html>")
    with pytest.raises(ValueError, match=r"page\.tgz is not a whole package"):
        read_tfjs_package(page, "net")
