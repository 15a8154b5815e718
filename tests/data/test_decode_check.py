import hashlib
import json
import os
import threading
import time
import warnings
import weakref
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dropzoo.data import decode_check
from dropzoo.data.decode_check import check_images, digest_of
from dropzoo.data.decoding import ImageError


def photo(seed: int, height: int = 8, width: int = 6) -> bytes:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PHOTOS = [photo(seed, 8 + seed) for seed in range(70)]


@pytest.fixture
def no_decoding(monkeypatch):
    def refuse(content):
        raise AssertionError("must not be decoded again")

    return lambda: monkeypatch.setattr(decode_check, "decode", refuse)


def test_every_image_gets_digest_and_size_in_order():
    check = check_images(PHOTOS.__getitem__, len(PHOTOS))
    assert check.digests == [hashlib.sha256(p).hexdigest() for p in PHOTOS]
    np.testing.assert_array_equal(
        check.sizes, [(8 + seed, 6) for seed in range(70)]
    )
    assert check.reasons == {}


def test_damaged_images_are_named_with_the_reason():
    check = check_images([PHOTOS[0], b"", b"text"].__getitem__, 3)
    assert sorted(check.reasons) == [1, 2]
    assert "empty" in check.reasons[1]
    assert check.sizes.tolist() == [[8, 6], [0, 0], [0, 0]]


def test_unreadable_images_have_no_digest():
    def content(index):
        raise ImageError("it cannot be read: it is gone")

    check = check_images(content, 1)
    assert check.digests == [""]
    assert check.reasons == {0: "it cannot be read: it is gone"}


def test_arrays_need_no_decoding(no_decoding):
    no_decoding()
    check = check_images(lambda i: np.zeros((4, 5, 3), np.uint8), 1)
    assert check.sizes.tolist() == [[4, 5]]


def test_an_array_s_digest_depends_on_pixels_and_shape():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert digest_of(image) == digest_of(image.copy(order="F"))
    assert digest_of(image) != digest_of(image.reshape(4, 2, 3))
    assert digest_of(image) != digest_of(image + np.uint8(1))


def test_changes_are_counted():
    file = BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(file, "PNG")
    check = check_images([file.getvalue(), PHOTOS[0]].__getitem__, 2)
    assert dict(check.changes) == {"laid over white": 1}


def test_progress_rises_to_the_end():
    calls = []
    check_images(
        PHOTOS.__getitem__, 70, progress=lambda *call: calls.append(call)
    )
    assert calls == sorted(calls)
    assert calls[-1] == (70, 70)


def test_no_images_need_no_check():
    assert check_images(PHOTOS.__getitem__, 0).digests == []


def test_a_second_run_decodes_nothing(tmp_path, no_decoding):
    path = tmp_path / "new" / "index.json"
    first = check_images(PHOTOS.__getitem__, 70, index_path=path)
    no_decoding()
    second = check_images(PHOTOS.__getitem__, 70, index_path=path)
    assert second.digests == first.digests
    np.testing.assert_array_equal(second.sizes, first.sizes)


def test_a_second_run_remembers_changes(tmp_path, no_decoding):
    file = BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(file, "PNG")
    images = [file.getvalue()]
    first = check_images(images.__getitem__, 1, index_path=tmp_path / "i")
    no_decoding()
    second = check_images(images.__getitem__, 1, index_path=tmp_path / "i")
    assert second.changes == first.changes != {}


def test_a_changed_image_is_decoded_again(tmp_path):
    path = tmp_path / "index.json"
    check_images(PHOTOS.__getitem__, 70, index_path=path)
    changed = [*PHOTOS[:69], b"damaged meanwhile"]
    check = check_images(changed.__getitem__, 70, index_path=path)
    assert list(check.reasons) == [69]


def test_damaged_images_are_not_remembered_as_good(tmp_path):
    path = tmp_path / "index.json"
    for _ in range(2):
        check = check_images([b"x"].__getitem__, 1, index_path=path)
        assert list(check.reasons) == [0]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"decoder": 1}', b"\xff\xfe", b"\0" * 99],
)
def test_a_damaged_index_is_made_anew(tmp_path, content):
    path = tmp_path / "index.json"
    path.write_bytes(content)
    check = check_images(PHOTOS.__getitem__, 70, index_path=path)
    assert check.reasons == {} and check.warnings == []
    assert len(json.loads(path.read_text())["images"]) == 70


def test_an_index_with_nonsense_entries_is_made_anew(tmp_path):
    path = tmp_path / "index.json"
    check_images(PHOTOS.__getitem__, 70, index_path=path)
    index = json.loads(path.read_text())
    index["images"] = {key: "huge" for key in index["images"]}
    path.write_text(json.dumps(index))
    check = check_images(PHOTOS.__getitem__, 70, index_path=path)
    assert check.sizes[0].tolist() == [8, 6]


def test_another_pillow_decodes_again(tmp_path, monkeypatch, no_decoding):
    path = tmp_path / "index.json"
    check_images(PHOTOS.__getitem__, 70, index_path=path)
    monkeypatch.setattr(decode_check.PIL, "__version__", "0")
    no_decoding()
    with pytest.raises(AssertionError, match="decoded again"):
        check_images(PHOTOS.__getitem__, 70, index_path=path)


def test_the_index_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "index.json"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    check = check_images(PHOTOS.__getitem__, 70, index_path=path)
    assert "No space left on device" in check.warnings[0]
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["index.json"]


def test_an_index_that_cannot_be_written_is_a_warning(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    check = check_images(
        PHOTOS.__getitem__, 70, index_path=blocked / "index.json"
    )
    assert "could not be remembered" in check.warnings[0]
    assert check.reasons == {}


def test_images_do_not_outlive_their_check():
    alive, peak, lock = 0, 0, threading.Lock()

    def gone():
        nonlocal alive
        with lock:
            alive -= 1

    def content(index):
        nonlocal alive, peak
        image = np.full((4, 4, 3), index % 256, np.uint8)
        weakref.finalize(image, gone)
        with lock:
            alive += 1
            peak = max(peak, alive)
        return image

    check_images(content, 2000)
    assert peak <= 16  # at most 8 threads, each between two images


def test_interrupting_stops_the_threads():
    started = []

    def content(index):
        started.append(index)
        time.sleep(0.001)  # or all are read before the first is reported
        return PHOTOS[0]

    def interrupt(done, count):
        raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        check_images(content, 100_000, progress=interrupt)
    assert len(started) < 50_000
    assert threading.active_count() == threads


def test_pillow_s_warnings_do_not_disturb_the_progress_bar():
    file = BytesIO()
    exif = b"Exif\0\0II*\0\xff\xff\xff\xff"
    Image.new("RGB", (4, 4)).save(file, "PNG", exif=exif)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        check = check_images([file.getvalue()].__getitem__, 1)
    assert check.reasons == {} and seen == []
