"""Reads a layers model of TensorFlow.js out of an npm package.

`model.json` describes the layers and lists the tensors, which stand one behind
the other in the shards. Nothing is unpacked to disk.
"""

import hashlib
import json
import math
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TfjsModel:
    """What a package holds.

    Args:
        config: Of the functional Keras model.
        tensors: Names and arrays.
        sha256: Of all shards, one behind the other.
    """

    config: dict[str, Any]
    tensors: dict[str, np.ndarray]
    sha256: str


def read_tfjs_package(path: Path, folder: str) -> TfjsModel:
    """Reads the model.

    Args:
        path: The package: its `.tgz` file, or the folder that it unpacks to.
        folder: Where `model.json` and the shards lie inside.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: The shards are quantised, or not of the size listed.
    """
    if path.is_dir():
        return _parse(lambda name: (path / folder / name).read_bytes())
    try:
        with tarfile.open(path) as archive:
            return _parse(
                lambda name: _member(archive, f"package/{folder}/{name}")
            )
    except tarfile.TarError as error:
        raise ValueError(
            f"{path.name} is not a whole package ({error})."
        ) from None


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        file = archive.extractfile(name)
    except (KeyError, EOFError):
        file = None
    if file is None:
        raise FileNotFoundError(f"The package holds no {name}.")
    return file.read()


def _parse(read: Callable[[str], bytes]) -> TfjsModel:
    model = json.loads(read("model.json"))
    shards, tensors = [], {}
    for group in model["weightsManifest"]:
        content = b"".join(read(name) for name in group["paths"])
        shards.append(content)
        tensors.update(_split(content, group["weights"]))
    topology = model["modelTopology"]
    digest = hashlib.sha256(b"".join(shards)).hexdigest()
    return TfjsModel(topology["model_config"]["config"], tensors, digest)


def _split(
    content: bytes, records: list[dict[str, Any]]
) -> dict[str, np.ndarray]:
    quantised = [x["name"] for x in records if "quantization" in x]
    if quantised or {x["dtype"] for x in records} != {"float32"}:
        raise ValueError("The shards must hold plain float32 numbers.")
    sizes = [math.prod(record["shape"]) for record in records]
    if 4 * sum(sizes) != len(content):
        raise ValueError(
            f"The shards must have {4 * sum(sizes):,} bytes by their list, but "
            f"have {len(content):,}: the package is damaged, get it again."
        )
    numbers = np.frombuffer(content, "<f4")
    parts = np.split(numbers, np.cumsum(sizes)[:-1])
    return {
        record["name"]: part.reshape(record["shape"])
        for record, part in zip(records, parts, strict=True)
    }
