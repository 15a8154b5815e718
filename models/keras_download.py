"""Weights that Keras downloads: got, checked and translated to our names."""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import numpy as np

from dropzoo.models.heads import HEAD
from dropzoo.models.keras_adapter import (
    Adapted,
    is_preprocessing,
    original_classifier,
    original_network,
)
from dropzoo.models.keras_weights import KerasWeights
from dropzoo.models.spec import ModelSpec
from dropzoo.models.variable_names import variables_of
from dropzoo.models.weight_sources import (
    Tensors,
    WeightSource,
    sha256_of_file,
)

if TYPE_CHECKING:
    import keras


class DownloadedWeights(WeightSource):
    """A weights file of `keras.applications`, in Keras's own cache.

    It is downloaded when this is made. A file that turns out to be of no use
    is removed from the cache, so that the next call gets it anew.

    Args:
        spec: The network.
        record: Its weights.

    Raises:
        ConnectionError: The file could not be downloaded.
        ValueError: It has another checksum than the record.
    """

    def __init__(self, spec: ModelSpec, record: KerasWeights):
        self.spec = spec
        self.record = record
        self.origin = f"{record.file} of Keras ({record.tag})"
        self.num_classes = record.num_classes
        self.path = _download(record)
        self.sha256 = sha256_of_file(self.path)

    def tensors(self, names: Collection[str]) -> Tensors:
        """Lets Keras read the file into its own network, and translates that.

        Args:
            names: Of no account here.

        Raises: ValueError when the file is damaged, is for another network or
            holds values that are not finite.
        """
        builder = self.spec.build
        if not isinstance(builder, Adapted):
            raise ValueError(
                f"create_model: {self.spec.name} is not a network of "
                f"keras.applications, and {self.record.file} is for those."
            )
        side = self.spec.input_size
        original = original_network(
            builder.function, (side, side, 3), self.num_classes
        )
        try:
            _read(original, self.path, self.spec.name)
            tensors = translated(original, self.record.channel_order)
            _check_finite(tensors, self.origin)
        except ValueError:
            self.path.unlink(missing_ok=True)
            raise
        return tensors


def translated(original: "keras.Model", channel_order: str) -> Tensors:
    """The variables of Keras's network under the names of ours.

    Args:
        original: A network as Keras builds it.
        channel_order: That it was trained on, `"rgb"` or `"bgr"`.

    Returns: `layer/variable` and arrays, without Keras's preprocessing.
    """
    import keras

    from dropzoo.models.functional_graph import operations_in
    from dropzoo.models.replay import stable_names

    names = stable_names(original)
    classifier = original_classifier(original)
    names[id(classifier)] = HEAD
    tensors = {
        f"{names[id(layer)]}/{name}": keras.ops.convert_to_numpy(variable)
        for layer in operations_in(original)
        if _has_tensors(layer)
        for name, variable in variables_of(layer).items()
    }
    kernel = tensors[f"{HEAD}/kernel"]
    tensors[f"{HEAD}/kernel"] = kernel.reshape(kernel.shape[-2:])
    if channel_order == "bgr":
        stem = next(name for name in tensors if tensors[name].ndim == 4)
        tensors[stem] = np.ascontiguousarray(tensors[stem][:, :, ::-1])
    return tensors


def _has_tensors(layer: Any) -> bool:
    """Whether it is a layer of the network itself, and no model in it."""
    import keras

    is_layer = isinstance(layer, keras.Layer)
    is_model = isinstance(layer, keras.Model)
    return is_layer and not is_model and not is_preprocessing(layer)


def _download(record: KerasWeights) -> Path:
    import keras

    try:
        path = keras.utils.get_file(
            record.file, record.url, cache_subdir="models"
        )
    except Exception as error:  # Keras raises no class of its own.
        if isinstance(error.__context__, HTTPError):
            error.__context__.close()  # an answer, which Keras leaves open
        reason = " ".join(str(error).split())
        raise ConnectionError(
            f"create_model: {record.file} could not be downloaded ({reason}); "
            "try again when the network is there, or give a file's path as "
            "`weights`."
        ) from error
    _check_sum(Path(path), record)
    return Path(path)


def _check_sum(path: Path, record: KerasWeights) -> None:
    for kind, expected in (("sha256", record.sha256), ("md5", record.md5)):
        if not expected:
            continue
        with path.open("rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        if found != expected:
            path.unlink()
            raise ValueError(
                f"create_model: {record.file} must have the {kind.upper()} "
                f"{expected}, but has {found}: it is damaged or not what Keras "
                "published, and was removed; try again."
            )


def _read(original: Any, path: Path, name: str) -> None:
    try:
        original.load_weights(path)
    except OSError as error:  # what h5py raises
        raise ValueError(
            f"create_model: {path.name} is not a whole Keras weights file "
            f"({_one_line(error)}), and was removed; try again."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"create_model: {path.name} is not for {name} "
            f"({_one_line(error)}), and was removed."
        ) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _check_finite(tensors: Tensors, origin: str) -> None:
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ValueError(
                f"create_model: {name} in {origin} holds NaN or infinity; the "
                "file was removed, get it again."
            )
