"""Where converted weights and computed features are kept between runs."""

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """The folder for one kind of cached file. It may not exist yet.

    Everything in it can be deleted at any time: it is computed again.

    Args:
        kind: Name of the sub-folder, such as `"weights"`.

    Returns: `$DROPZOO_CACHE/kind` where that variable is set, else
        `dropzoo/kind` in the user's cache folder (`$XDG_CACHE_HOME` or
        `~/.cache`).
    """
    if root := os.environ.get("DROPZOO_CACHE"):
        return Path(root) / kind
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user_cache) / "dropzoo" / kind
