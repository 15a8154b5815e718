"""Loads a saved Keras model without executing anything in it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def load_saved_model(path: str | Path) -> "keras.Model":
    """Loads a `.keras` file without executing anything in it.

    Args:
        path: The file.

    Returns: The model, not compiled.

    Raises:
        FileNotFoundError: It does not exist.
        ValueError: It is damaged or would have to be trusted.
    """
    import keras

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no saved model {path}.")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # Keras, h5py and zipfile have many kinds of errors for a bad archive.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(
            f"{path.name} is damaged, or is not a Keras model that can be "
            f"loaded safely ({reason})."
        ) from None
