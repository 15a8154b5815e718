"""Read and decode every image once, so that training meets no surprise."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL

from .decoding import ImageError, decode

# One task per so many images: few futures, and progress that still moves.
CHUNK = 32


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one image turned out to be.

    Args:
        digest: SHA-256 of its content in hexadecimal; empty where the
            content could not be read.
        height: In pixels; 0 where it could not be decoded.
        width: In pixels; 0 where it could not be decoded.
        changes: What decoding had to change, as short phrases.
        reason: Why it cannot be used; `None` where it can.
    """

    digest: str
    height: int = 0
    width: int = 0
    changes: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(eq=False)
class DecodeCheck:
    """The verdicts on all images, without their pixels.

    Args:
        digests: SHA-256 of each content, "" where it could not be read.
        sizes: Height and width, `(n, 2)` int32, 0 where not decoded.
        reasons: Why images cannot be used, by position.
        changes: Number of images by kind of change that decoding made.
        warnings: What went wrong with the index, in sentences.
    """

    digests: list[str]
    sizes: np.ndarray
    reasons: dict[int, str] = field(default_factory=dict)
    changes: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)


def check_images(
    content: Callable[[int], bytes | np.ndarray],
    count: int,
    *,
    index_path: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DecodeCheck:
    """Reads, hashes and decodes every image once.

    Several threads work at a time (Pillow decodes outside Python's lock), and
    no image outlives its own check.

    Args:
        content: Maps a position to a file's bytes or to uint8 RGB pixels, as
            `Collection.content`.
        count: Number of images.
        index_path: Where to remember what decoded, by digest: a second run
            hashes the files and decodes only what is new. Written at the
            end, atomically; a damaged index is made anew.
        progress: Called as `progress(done, count)` from this thread.

    Returns:
        A digest and size per image, and the reason where it cannot be used.
    """
    known = _read_index(index_path)
    result = DecodeCheck([], np.zeros((count, 2), dtype=np.int32))
    remembered: dict[str, list] = {}
    for done, verdict in enumerate(_verdicts(content, count, known)):
        result.digests.append(verdict.digest)
        result.sizes[done] = verdict.height, verdict.width
        result.changes.update(verdict.changes)
        if verdict.reason is not None:
            result.reasons[done] = verdict.reason
        else:
            remembered[verdict.digest] = _as_entry(verdict)
        if progress is not None and (done + 1 == count or done % CHUNK == 0):
            progress(done + 1, count)
    if index_path is not None and remembered.keys() != known.keys():
        result.warnings += _write_index(index_path, remembered)
    return result


def digest_of(content: bytes | np.ndarray) -> str:
    """Returns the SHA-256 of a file's bytes, or of an array and its shape."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    shape = repr(content.shape).encode()
    pixels = np.ascontiguousarray(content).data
    return hashlib.sha256(shape + b"\0" + bytes(pixels)).hexdigest()


def _verdicts(
    content: Callable[[int], bytes | np.ndarray],
    count: int,
    known: dict[str, Verdict],
) -> Iterator[Verdict]:
    """Yields verdicts in order; threads stop where the caller stops."""

    def judge_chunk(start: int) -> list[Verdict]:
        stop = min(start + CHUNK, count)
        return [_judge(content, index, known) for index in range(start, stop)]

    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    # Pillow warns of damaged metadata; what matters becomes a verdict.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        try:
            for verdicts in pool.map(judge_chunk, range(0, count, CHUNK)):
                yield from verdicts
        finally:
            pool.shutdown(cancel_futures=True)


def _judge(
    content: Callable[[int], bytes | np.ndarray],
    index: int,
    known: dict[str, Verdict],
) -> Verdict:
    digest = ""
    try:
        image = content(index)
        digest = digest_of(image)
        if isinstance(image, np.ndarray):
            height, width = image.shape[:2]
            return Verdict(digest, height, width)
        if digest in known:
            return known[digest]
        decoded = decode(image)
    except ImageError as error:
        return Verdict(digest, reason=str(error))
    height, width = decoded.pixels.shape[:2]
    return Verdict(digest, height, width, decoded.changes)


def _decoder_version() -> str:
    """Names what an index depends on: our rules and Pillow's version."""
    return f"1, Pillow {PIL.__version__}"


def _as_entry(verdict: Verdict) -> list:
    return [verdict.height, verdict.width, *verdict.changes]


def _read_index(path: Path | None) -> dict[str, Verdict]:
    """Reads an index; one that is missing, old or damaged counts as empty."""
    if path is None:
        return {}
    try:
        index = json.loads(path.read_bytes())
        if index["decoder"] != _decoder_version():
            return {}
        return {
            digest: Verdict(
                digest, int(height), int(width), tuple(map(str, changes))
            )
            for digest, (height, width, *changes) in index["images"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write_index(path: Path, images: dict[str, list]) -> list[str]:
    """Writes an index atomically; returns a warning where it could not."""
    index = {"decoder": _decoder_version(), "images": images}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(index, file)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        return [
            f"the decode check could not be remembered in '{path}' "
            f"({error.strerror}): the next run decodes every image again"
        ]
    return []
