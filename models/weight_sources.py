"""Where trained tensors come from: an installed package or a file.

Whatever the kind of file, nothing in it is executed.
"""

import abc
import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dropzoo.models.cache_folder import cache_folder
from dropzoo.models.heads import HEAD
from dropzoo.models.keras_weights import KerasWeights
from dropzoo.models.restricted_pickle import read_state_dict
from dropzoo.models.saved_model import load_saved_model
from dropzoo.models.spec import ModelSpec, Weights
from dropzoo.models.state_dict import (
    classes_of_state_dict,
    convert_state_dict,
)
from dropzoo.models.variable_names import variables_of
from dropzoo.models.weight_cache import read_cached, write_cached
from dropzoo.models.weights_file import read_weights_file

Tensors = dict[str, np.ndarray]


class WeightSource(abc.ABC):
    """Trained tensors for a network of the catalogue.

    Attributes:
        origin: Where they come from, in words.
        sha256: SHA-256 of the file that they are read from.
        num_classes: Number of logits; 0 where there is no classifier.
    """

    origin: str
    sha256: str
    num_classes: int

    @abc.abstractmethod
    def tensors(self, names: Collection[str]) -> Tensors:
        """Reads the tensors.

        Args:
            names: `layer/variable` of each variable of the model.

        Returns: `layer/variable` and arrays in Keras's layout. There may be
            more or fewer than `names`.

        Raises: ValueError when the file is for another network.
        """


def open_weights(
    spec: ModelSpec, weights: Weights | KerasWeights | str | Path
) -> WeightSource:
    """Opens a record of the catalogue, or a file.

    Args:
        spec: The network that the weights are for.
        weights: One of the spec's records, or the path of a `.safetensors`,
            `.pth`, `.pt`, `.keras` or `.weights.h5` file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is of another kind, or is damaged.
    """
    if isinstance(weights, Weights):
        return PackagedWeights(spec, weights)
    if isinstance(weights, KerasWeights):
        from dropzoo.models.keras_download import DownloadedWeights

        return DownloadedWeights(spec, weights)
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(
            "create_model: `weights` names a file that does not exist. "
            f"Received: {str(path)!r}"
        )
    if path.suffix in (".pth", ".pt", ".safetensors"):
        return StateDictFile(spec, path)
    if path.suffix == ".keras" or path.name.endswith(".weights.h5"):
        return KerasFile(path)
    raise ValueError(
        "create_model: `weights` must be a .safetensors, .pth, .pt, .keras or "
        f".weights.h5 file. Received: {path.name!r}"
    )


class PackagedWeights(WeightSource):
    """Weights in an installed package; kept converted after the first use.

    Args:
        spec: The network.
        record: Its weights.
    """

    def __init__(self, spec: ModelSpec, record: Weights):
        self.spec = spec
        self.record = record
        self.origin = f"{record.package} ({record.tag})"
        self.sha256 = record.sha256
        self.num_classes = record.num_classes

    def tensors(self, names: Collection[str]) -> Tensors:
        """Reads the cached tensors, or converts those of the package.

        Args:
            names: `layer/variable` of each variable of the model.

        Raises:
            FileNotFoundError: The package is not installed.
            ValueError: Its file was changed.
        """
        cached = cache_folder("weights") / (
            f"{self.spec.name}.{self.record.tag}-{self.sha256[:16]}.safetensors"
        )
        tensors = read_cached(cached)
        # A file of an earlier version may have other names.
        if tensors is None or not tensors.keys() >= set(names):
            state = _read_state(self._checked_file())
            tensors = convert_state_dict(state, names, self.spec)
            write_cached(cached, tensors)
        return tensors

    def _checked_file(self) -> Path:
        path = self.record.find_file()
        if path is None:
            raise FileNotFoundError(
                f"create_model: the weights {self.record.tag!r} of "
                f"{self.spec.name} lie in the package {self.record.package}, "
                f"which is not installed; run `{self.record.install_command}`."
            )
        found = sha256_of_file(path)
        if found != self.sha256:
            raise ValueError(
                f"create_model: {path.name} must have the SHA-256 "
                f"{self.sha256}, but has {found}: the file was changed or "
                f"damaged; reinstall {self.record.package}."
            )
        return path


class StateDictFile(WeightSource):
    """A `.pth`, `.pt` or `.safetensors` file in PyTorch's layout.

    Args:
        spec: The network, which knows the names of its layers in PyTorch.
        path: The file.
    """

    def __init__(self, spec: ModelSpec, path: Path):
        self.spec = spec
        self.origin = str(path)
        self.sha256 = sha256_of_file(path)
        self.state = _read_state(path)
        self.num_classes = classes_of_state_dict(self.state, spec)

    def tensors(self, names: Collection[str]) -> Tensors:
        """Converts the state dict.

        Args:
            names: `layer/variable` of each variable of the model.
        """
        return convert_state_dict(self.state, names, self.spec)


class KerasFile(WeightSource):
    """A `.keras` or `.weights.h5` file of a model with the same layers.

    Args:
        path: The file.
    """

    def __init__(self, path: Path):
        self.origin = str(path)
        self.sha256 = sha256_of_file(path)
        is_model = path.suffix == ".keras"
        read = _read_keras_model if is_model else read_weights_file
        self.layers = read(path)
        head = self.layers.get(HEAD)
        self.num_classes = head[0].shape[-1] if head else 0

    def tensors(self, names: Collection[str]) -> Tensors:
        """Gives what the file holds.

        Args:
            names: `layer/variable` of each variable of the model, in the order
                in which its layers have them: the file knows their order only.
        """
        known: dict[str, list[str]] = {}
        for name in names:
            layer, variable = name.split("/")
            known.setdefault(layer, []).append(variable)
        return {
            f"{layer}/{variable}": array
            for layer, arrays in self.layers.items()
            for variable, array in _pair(known.get(layer), arrays)
        }


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def named_variables(model: Any) -> dict[str, Any]:
    """`layer/variable` to variable, for every layer with weights.

    Args:
        model: A functional model without inner models.
    """
    return {
        f"{layer.name}/{name}": variable
        for layer in model.layers
        for name, variable in variables_of(layer).items()
    }


def _read_state(path: Path) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if path.suffix != ".safetensors":
        return read_state_dict(path)
    try:
        return load_file(path)
    except (SafetensorError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path.name} is not a whole safetensors file ({error})."
        ) from None


def _read_keras_model(path: Path) -> dict[str, list[np.ndarray]]:
    import keras

    model = load_saved_model(path)
    inner = [x for x in model.layers if isinstance(x, keras.Model)]
    return {
        layer.name: [keras.ops.convert_to_numpy(x) for x in layer.weights]
        for layer in (inner[0] if inner else model).layers
        if layer.weights
    }


def _pair(
    variables: list[str] | None, arrays: list[np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Variables and arrays; an array without a variable has a number."""
    if variables is None:  # of a layer that the model lacks
        variables = ["kernel", "bias"] if len(arrays) <= 2 else []
    for number, array in enumerate(arrays):
        is_known = number < len(variables)
        yield variables[number] if is_known else str(number), array
