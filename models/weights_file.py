"""Reads a `.weights.h5` file without the network that it belongs to.

Keras numbers the variables of a layer and names the layers alone. What a file
of weights has no need of is refused: links to other files, arrays that are
stored elsewhere, and arrays that would be larger than the file itself.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS = "biuf"  # NumPy's kinds of real numbers


def read_weights_file(path: Path) -> dict[str, list[np.ndarray]]:
    """The variables of each layer, in the order that Keras keeps them in.

    Args:
        path: The file.

    Returns: Names of layers and arrays; layers without any are left out.

    Raises: ValueError when the file is damaged, is of another kind, or reaches
        outside itself.
    """
    import h5py

    try:
        with h5py.File(path) as file:
            return dict(_layers(file))
    except (
        OSError,
        LookupError,
        AttributeError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path.name} is not a whole Keras weights file ({reason})."
        ) from None


def _layers(file: Any) -> Iterator[tuple[str, list[np.ndarray]]]:
    size = Path(file.filename).stat().st_size
    for key in _own(file, "layers"):
        variables = _own(_own(file["layers"], key), "vars")
        arrays = []
        for number in range(len(variables)):
            dataset = _own(variables, str(number))
            _check_dataset(dataset, size)
            size -= dataset.nbytes
            arrays.append(np.asarray(dataset))
        if arrays:
            yield str(variables.attrs["name"]), arrays


def _own(group: Any, name: str) -> Any:
    """What a group holds under a name, not what it points to elsewhere."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is a link")
    return group[name]


def _check_dataset(dataset: Any, left: int) -> None:
    """Refuses an array that is not stored whole and plain in the file.

    Args:
        dataset: Of h5py.
        left: Bytes that the file has for it.
    """
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{dataset.name} is stored in another file")
    if dataset.dtype.kind not in NUMBERS:
        raise ValueError(f"{dataset.name} holds no numbers")
    if dataset.nbytes > left:
        raise ValueError(f"{dataset.name} is larger than the file")
