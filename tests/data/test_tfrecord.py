import struct

import numpy as np
import pytest

from dropzoo.data.tfrecord import TFRecordFiles


def framed(record: bytes) -> bytes:
    """A record between its header and footer; checksums are not looked at."""
    return struct.pack("<QI", len(record), 0) + record + bytes(4)


@pytest.fixture
def files(tmp_path):
    def write(*shards: bytes):
        paths = []
        for number, content in enumerate(shards):
            paths.append(tmp_path / f"shard-{number}")
            paths[-1].write_bytes(content)
        return paths

    return write


def test_records_of_several_files_by_position(files):
    records = [b"first", b"", b"third" * 1000, b"fourth"]
    shards = (framed(b"first") + framed(b""), b"", framed(records[2]))
    opened = TFRecordFiles(files(*shards, framed(b"fourth")))
    assert len(opened) == 4
    order = np.random.default_rng(0).permutation(4)
    assert [opened[i] for i in order] == [records[i] for i in order]


def test_no_files_hold_no_records():
    assert len(TFRecordFiles([])) == 0


def test_files_that_tensorflow_wrote(tmp_path):
    import tensorflow as tf

    path = tmp_path / "x.tfrecord"
    records = [bytes([n]) * n for n in range(50)]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    opened = TFRecordFiles([path])
    assert [opened[i] for i in range(len(opened))] == records


@pytest.mark.parametrize("missing", [1, 4, 7, 15, 20])
def test_a_truncated_file_is_refused(files, missing):
    whole = framed(b"first") + framed(b"second")
    with pytest.raises(ValueError, match="end within record 2"):
        TFRecordFiles(files(whole[: len(whole) - missing]))


def test_a_file_of_another_kind_is_refused(files):
    with pytest.raises(ValueError, match="must be a whole, uncompressed"):
        TFRecordFiles(files(b"\x1f\x8b" + b"compressed" * 10))
