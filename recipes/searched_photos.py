"""The photos of a search, as each of its processes loads them for itself."""

import functools
from typing import TYPE_CHECKING

from dropzoo.recipes.search_options import Photos

if TYPE_CHECKING:
    from dropzoo.data import ImageData
    from dropzoo.data.examples import Examples


def load_split(photos: Photos, seed: int, split: str) -> "Examples":
    """Loads one split; a process that asks again gets it at once.

    Photos are not sent from process to process, as they may be more than
    memory holds.

    Args:
        photos: Options that name them.
        seed: Of the splits.
        split: `"train"` or `"validation"`.
    """
    return _load(photos, seed).splits[split]


@functools.lru_cache(maxsize=1)
def _load(photos: Photos, seed: int) -> "ImageData":
    from dropzoo.data import load
    from dropzoo.models.cache_folder import cache_folder

    return load(
        photos.data,
        seed=seed,
        limit=photos.limit,
        data_dir=photos.data_dir,
        cache_dir=cache_folder("decoded"),
    )
