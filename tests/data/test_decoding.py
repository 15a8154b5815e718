import gc
import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from dropzoo.data import decoding
from dropzoo.data.decoding import ImageError, decode, decode_image


def encoded(image, kind, **options) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(*shape) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size, without the pixels to go with it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def test_lossless_files_keep_their_pixels():
    pixels = noise(5, 7, 3)
    for kind in ("PNG", "BMP", "TIFF", "PPM"):
        np.testing.assert_array_equal(
            decode_image(encoded(pixels, kind)), pixels
        )


def test_a_path_decodes_as_its_content_does(tmp_path):
    content = encoded(noise(16, 16, 3), "JPEG")
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    np.testing.assert_array_equal(decode_image(path), decode_image(content))


def test_the_result_is_uint8_rgb_that_may_be_written_to():
    pixels = decode_image(encoded(noise(5, 7), "PNG"))
    assert pixels.shape == (5, 7, 3)
    assert pixels.dtype == np.uint8
    pixels[...] = 0


def test_grey_becomes_three_equal_channels():
    grey = noise(5, 7)
    np.testing.assert_array_equal(
        decode_image(encoded(grey, "PNG")), np.stack([grey] * 3, axis=-1)
    )


def test_truncated_jpeg_is_refused():
    content = encoded(noise(64, 64, 3), "JPEG")
    with pytest.raises(ImageError, match="truncated"):
        decode_image(content[: len(content) // 2])


def test_truncated_png_is_refused():
    content = encoded(noise(64, 64, 3), "PNG")
    with pytest.raises(ImageError, match="truncated|decoded"):
        decode_image(content[: len(content) // 2])


@pytest.mark.parametrize("position", range(0, 600, 37))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF"])
def test_damage_anywhere_gives_an_image_or_a_sentence(kind, position):
    content = bytearray(encoded(noise(24, 24, 3), kind))
    for offset in range(position, min(position + 8, len(content))):
        content[offset] ^= 0xFF
    try:
        pixels = decode_image(bytes(content))
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert pixels.dtype == np.uint8 and pixels.shape[2] == 3


def test_zero_bytes_are_refused(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(ImageError, match="empty.jpg': the file is empty"):
        decode_image(path)


def test_text_renamed_to_jpg_is_refused(tmp_path):
    path = tmp_path / "note.jpg"
    path.write_text("not a picture")
    with pytest.raises(ImageError, match="not an image of a kind that is"):
        decode_image(path)


def test_postscript_is_refused_though_pillow_would_run_ghostscript():
    content = encoded(noise(8, 8, 3), "EPS")
    assert Image.open(BytesIO(content)).format == "EPS"
    with pytest.raises(ImageError, match="not an image of a kind"):
        decode_image(content)


def test_cmyk_jpeg_becomes_rgb():
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan: red
    decoded = decode(encoded(ink, "JPEG", quality=100))
    assert "CMYK" in decoded.changes[0]
    np.testing.assert_allclose(
        decoded.pixels.astype(int), np.full((16, 16, 3), (255, 0, 0)), atol=3
    )


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_to_8(kind):
    values = np.array([[0, 128, 129, 257], [256, 32896, 65535, 65406]])
    decoded = decode(encoded(values.astype(np.uint16), kind))
    expected = np.rint(values / 65535 * 255)
    np.testing.assert_array_equal(decoded.pixels[..., 0], expected)
    assert decoded.changes == ("16 bits scaled to 8",)


def test_32_bit_images_are_refused_because_their_range_is_unknown():
    for kind in (np.int32, np.float32):
        with pytest.raises(ImageError, match="32-bit"):
            decode_image(encoded(np.ones((4, 4), kind), "TIFF"))


def test_transparent_palette_colour_becomes_white():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 2), 1)
    decoded = decode(encoded(image, "PNG", transparency=0))
    assert tuple(decoded.pixels[2, 1]) == (200, 100, 50)
    assert tuple(decoded.pixels[0, 0]) == (255, 255, 255)
    assert decoded.changes == ("laid over white",)


def test_half_transparent_red_becomes_pink():
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    pink = decode_image(encoded(image, "PNG"))[0, 0].astype(int)
    np.testing.assert_allclose(pink, [255, 127, 127], atol=1)


def test_opaque_alpha_changes_nothing():
    pixels = noise(4, 4, 4)
    pixels[..., 3] = 255
    decoded = decode(encoded(pixels, "PNG"))
    np.testing.assert_array_equal(decoded.pixels, pixels[..., :3])
    assert decoded.changes == ()


def test_animation_gives_its_first_frame():
    first, second = (Image.new("RGB", (8, 8), c) for c in ("red", "blue"))
    content = encoded(first, "GIF", save_all=True, append_images=[second])
    decoded = decode(content)
    assert tuple(decoded.pixels[0, 0]) == (255, 0, 0)
    assert "first frame" in decoded.changes[0]


# The eight values of EXIF's tag 274, as what NumPy must do to undo them.
UPRIGHT = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).transpose(1, 0, 2),
    8: lambda x: np.rot90(x, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(orientation):
    pixels = noise(6, 9, 3)
    exif = Image.Exif()
    exif[274] = orientation
    decoded = decode(encoded(pixels, "PNG", exif=exif))
    np.testing.assert_array_equal(decoded.pixels, UPRIGHT[orientation](pixels))
    assert bool(decoded.changes) == (orientation != 1)


def test_exif_orientation_of_a_jpeg_agrees_with_pillow():
    exif = Image.Exif()
    exif[274] = 6
    content = encoded(noise(16, 32, 3), "JPEG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(BytesIO(content)))
    np.testing.assert_array_equal(decode_image(content), np.asarray(upright))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"garbage", b"II*\0\xff\xff\xff\xff"])
def test_damaged_exif_leaves_the_image_as_it_is(exif):
    pixels = noise(6, 9, 3)
    content = encoded(pixels, "PNG", exif=b"Exif\0\0" + exif)
    np.testing.assert_array_equal(decode_image(content), pixels)


def test_one_pixel_is_refused():
    with pytest.raises(ImageError, match="1 x 1 pixels show nothing"):
        decode_image(encoded(noise(1, 1, 3), "PNG"))


@pytest.mark.parametrize("side", [30_000, 12_000, 9_460])
def test_decompression_bomb_is_refused_by_its_header(side, monkeypatch):
    def no_decoding(image):
        raise AssertionError("must not be decoded")

    monkeypatch.setattr(decoding, "_as_shown", no_decoding)
    with pytest.raises(ImageError, match="pixels.*make it smaller"):
        decode_image(png_header(side, side))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_size_limit_is_stated_even_where_pillow_only_warns():
    with pytest.raises(ImageError, match="12000 x 12000.*89,478,485"):
        decode_image(png_header(12_000, 12_000))


def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_BYTES", 10)
    path = tmp_path / "x.jpg"
    path.write_bytes(bytes(11))
    with pytest.raises(ImageError, match="11 bytes exceed the 10"):
        decode_image(path)


def test_a_folder_named_like_a_photo_is_refused(tmp_path):
    path = tmp_path / "x.jpg"
    path.mkdir()
    with pytest.raises(ImageError, match="it is a folder"):
        decode_image(path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    path = tmp_path / "x.jpg"
    os.mkfifo(path)
    with pytest.raises(ImageError, match="pipe or device"):
        decode_image(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        decode_image(tmp_path / "x.jpg")


def test_a_path_that_cannot_exist_is_refused():
    with pytest.raises(ImageError, match="cannot be read"):
        decode_image(Path("a\0b.jpg"))


def test_missing_permission_is_refused(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "x.jpg"
    path.write_bytes(b"x")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ImageError, match="cannot be read: Permission denied"):
        decode_image(path)


def test_a_symbolic_link_loop_is_refused(tmp_path):
    path = tmp_path / "x.jpg"
    path.symlink_to(path)
    with pytest.raises(ImageError, match="cannot be read"):
        decode_image(path)


def test_no_file_stays_open(tmp_path):
    whole = encoded(noise(32, 32, 3), "JPEG")
    for name, content in {"a": whole, "b": whole[:300], "c": b"x"}.items():
        (tmp_path / name).write_bytes(content)
        before = len(os.listdir("/proc/self/fd"))
        try:
            decode_image(tmp_path / name)
        except ImageError:
            pass
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before
