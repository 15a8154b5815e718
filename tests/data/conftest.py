"""Small photographs of noise, written as real files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def noise(seed: int, height: int = 70, width: int = 90) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def make_photo():
    """Writes a photo that no other seed yields; returns its pixels."""

    def make(path: Path, seed: int = 0, height=70, width=90, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = noise(seed, height, width)
        Image.fromarray(pixels).save(path, **options)
        return pixels

    return make


@pytest.fixture
def make_folder(tmp_path, make_photo):
    """Writes so many different photos per class folder; returns the root."""
    seeds = iter(range(10**6))

    def make(counts: dict[str, int], root: Path | None = None) -> Path:
        root = tmp_path / "photos" if root is None else root
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                make_photo(root / folder / f"{number:03}.png", next(seeds))
        return root

    return make
