"""Decode one image file into uint8 RGB, or say in one sentence why not."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Photographs, and nothing that Pillow hands to another program, such as EPS.
FORMATS = (
    "JPEG",
    "PNG",
    "GIF",
    "BMP",
    "WEBP",
    "TIFF",
    "PPM",
    "AVIF",
    "JPEG2000",
)
# About 9,459 x 9,459: where Pillow begins to warn of decompression bombs.
MAX_PIXELS = 89_478_485
MAX_BYTES = 2**28
MIN_SIDE = 2


class ImageError(ValueError):
    """An image that cannot be used; the message says why in one sentence."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image, and what had to be done to it.

    Args:
        pixels: `(height, width, 3)` uint8 RGB.
        changes: What a careful person would want to know, as short phrases:
            "turned upright by EXIF", "laid over white".
    """

    pixels: np.ndarray
    changes: tuple[str, ...] = ()


def decode_image(source: bytes | Path) -> np.ndarray:
    """Decodes an image file as a viewer would show it.

    EXIF orientation is applied; 16-bit images are scaled to 8 bits;
    transparent images are laid over white; of an animation the first frame
    is taken; grey, palette and CMYK images become RGB.

    Args:
        source: The file's content, or its path.

    Returns:
        `(height, width, 3)` uint8 RGB.

    Raises:
        ImageError: when the file cannot be read, is empty, damaged, not an
            image, of an unsupported kind, larger than `MAX_BYTES`, has more
            than `MAX_PIXELS` pixels or a side under `MIN_SIDE` pixels.
    """
    if isinstance(source, bytes):
        return decode(source).pixels
    try:
        return decode(read_image_file(Path(source))).pixels
    except ImageError as error:
        raise ImageError(f"'{source}': {error}") from error


def read_image_file(path: Path) -> bytes:
    """Reads a file that should hold one image.

    Args:
        path: The file. Pipes and devices are refused: reading one may never
            end.

    Returns:
        The file's content.

    Raises:
        ImageError: when it cannot be read or is larger than `MAX_BYTES`.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "folder" if path.is_dir() else "pipe or device"
            raise ImageError(f"it is a {kind}, not a file")
        if status.st_size > MAX_BYTES:
            raise ImageError(
                f"its {status.st_size:,} bytes exceed the {MAX_BYTES:,} that "
                "an image may have"
            )
        return path.read_bytes()
    except ImageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"it cannot be read: {reason}") from error


def decode(content: bytes) -> Decoded:
    """Decodes an image file's content as `decode_image` does, with changes.

    Args:
        content: The file's bytes.

    Raises:
        ImageError: as `decode_image`.
    """
    if not content:
        raise ImageError("the file is empty")
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            _check_size(*image.size)
            return _as_shown(image)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(
            f"it has more than {MAX_PIXELS:,} pixels: make it smaller"
        ) from None
    except UnidentifiedImageError:
        raise ImageError(
            f"it is not an image of a kind that is read ({', '.join(FORMATS)})"
        ) from None
    except Exception as error:
        # Pillow's readers raise nearly anything on a damaged file.
        if "truncated" in str(error).lower():
            raise ImageError("it is truncated: its end is missing") from error
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ImageError(f"it cannot be decoded: {reason}") from error


def _check_size(width: int, height: int) -> None:
    """Refuses by the header alone, before any pixel is decoded."""
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"its {width} x {height} pixels exceed the {MAX_PIXELS:,} that an "
            "image may have: make it smaller"
        )
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"its {width} x {height} pixels show nothing: each side must have "
            f"at least {MIN_SIDE}"
        )


def _as_shown(image: Image.Image) -> Decoded:
    changes = []
    if getattr(image, "is_animated", False) and image.format != "MPO":
        changes.append("first frame of an animation or first of several pages")
    image.load()
    upright = _turned_upright(image)
    if upright is not image:
        changes.append("turned upright by EXIF")
    rgb, change = _as_rgb(upright)
    if change:
        changes.append(change)
    return Decoded(np.array(rgb, dtype=np.uint8), tuple(changes))


def _turned_upright(image: Image.Image) -> Image.Image:
    try:
        turn_needed = image.getexif().get(0x0112) in range(2, 9)
    except Exception:
        # Damaged EXIF says nothing about orientation; the pixels are whole.
        return image
    return ImageOps.exif_transpose(image) if turn_needed else image


def _as_rgb(image: Image.Image) -> tuple[Image.Image, str | None]:
    if image.mode.startswith("I;16"):
        return _from_16_bit(image).convert("RGB"), "16 bits scaled to 8"
    if image.mode in ("I", "F"):
        raise ImageError(
            "its pixels are 32-bit numbers of unknown range: save it with 8 "
            "or 16 bits"
        )
    if image.has_transparency_data:
        return _over_white(image.convert("RGBA"))
    if image.mode == "CMYK":
        return image.convert("RGB"), "CMYK converted to RGB"
    return image.convert("RGB"), None


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Scales 0..65535 to 0..255; Pillow's own conversion saturates at 255."""
    values = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def _over_white(image: Image.Image) -> tuple[Image.Image, str | None]:
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB"), None
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB"), "laid over white"
