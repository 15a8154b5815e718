import logging

import numpy as np
import pytest

from dropzoo.models.weight_cache import read_cached, write_cached


@pytest.fixture
def tensors():
    rng = np.random.default_rng(0)
    return {
        "a/kernel": rng.normal(size=(3, 4)).astype("float32"),
        "b/bias": np.array(2.5, "float32"),
    }


def test_tensors_come_back_to_the_bit(tmp_path, tensors):
    path = tmp_path / "new" / "weights.safetensors"
    write_cached(path, tensors)
    read = read_cached(path)
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name], tensor)
        assert read[name].shape == tensor.shape


def test_nothing_is_read_where_there_is_nothing(tmp_path):
    assert read_cached(tmp_path / "none.safetensors") is None


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_is_cut_off_counts_as_absent(tmp_path, tensors, share):
    path = tmp_path / "weights.safetensors"
    write_cached(path, tensors)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert read_cached(path) is None


def test_a_changed_number_is_noticed(tmp_path, tensors):
    path = tmp_path / "weights.safetensors"
    write_cached(path, tensors)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert read_cached(path) is None


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, tensors, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING, logger="dropzoo"):
        write_cached(tmp_path / "file" / "weights.safetensors", tensors)
    assert "Converted weights are not cached" in caplog.text


def test_a_disk_that_fills_up_leaves_nothing(
    tmp_path, tensors, caplog, monkeypatch
):
    import safetensors.numpy

    def fill_up(tensors, path, metadata):
        path.write_bytes(b"half")
        raise safetensors.SafetensorError("no space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", fill_up)
    with caplog.at_level(logging.WARNING, logger="dropzoo"):
        write_cached(tmp_path / "weights.safetensors", tensors)
    assert "no space left" in caplog.text
    assert list(tmp_path.iterdir()) == []
