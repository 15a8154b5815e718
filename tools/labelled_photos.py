"""Twenty labelled photos of ImageNet, to see that weights came over whole.

They lie in PyPI `foolbox`, which is found and not imported: it imports much.
"""

import importlib.util
import re
from pathlib import Path

import numpy as np


def labelled_photos(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The photos, stretched to one size by the kit's own rule.

    Args:
        height: In pixels.
        width: In pixels.

    Returns: Raw RGB `(20, height, width, 3)` in [0, 255], and class numbers.

    Raises: FileNotFoundError when foolbox is not installed.
    """
    from PIL import Image

    from dropzoo.models.preprocessing import resizing

    resize = resizing(height, width)
    photos, classes = [], []
    for file in _files():
        photo = np.asarray(Image.open(file).convert("RGB"))
        photos.append(np.asarray(resize(photo)))
        match = re.fullmatch(r"imagenet_\d+_(\d+)", file.stem)
        classes.append(int(match[1]) if match else -1)
    return np.stack(photos).astype("float32"), np.array(classes)


def ranks(scores: np.ndarray, classes: np.ndarray) -> str:
    """How many photos are right at the first guess, and within five.

    Args:
        scores: `(photos, classes)`, in which the largest is the guess.
        classes: The right one of each photo.
    """
    order = np.argsort(-scores, axis=1)[:, :5]
    right = order == classes[:, None]
    photos = len(classes)
    return (
        f"top-1 {right[:, 0].sum()}/{photos}, "
        f"top-5 {right.any(axis=1).sum()}/{photos}"
    )


def _files() -> list[Path]:
    spec = importlib.util.find_spec("foolbox")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "The photos lie in the package foolbox, which is not installed; "
            "run `pip install --no-deps foolbox==3.3.4`."
        )
    folder = Path(spec.submodule_search_locations[0]) / "data"
    return sorted(folder.glob("imagenet_??_*.jpg"))
