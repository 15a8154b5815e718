"""Loads trained weights, loudly: all of them, or an error.

Tensors are checked by name, shape and finiteness before the first one is
assigned, so that a model is never left half-loaded.
"""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dropzoo.models.heads import HEAD_VARIABLES
from dropzoo.models.input_channels import adapted_stem
from dropzoo.models.keras_weights import KerasWeights
from dropzoo.models.spec import ModelSpec, Weights
from dropzoo.models.state_dict import mismatch
from dropzoo.models.weight_sources import (
    KerasFile,
    WeightSource,
    named_variables,
    open_weights,
)
from dropzoo.models.weights_file import NUMBERS

if TYPE_CHECKING:
    import keras

logger = logging.getLogger("dropzoo")


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Args:
        origin: Where the weights came from.
        sha256: SHA-256 of the file they were read from.
        loaded: Names of the tensors that were loaded.
        left_random: Names of the tensors that keep their random values.
        adapted: Names of the tensors that were fitted from RGB to other
            channels, and how many.
    """

    origin: str
    sha256: str
    loaded: tuple[str, ...]
    left_random: tuple[str, ...]
    adapted: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def sentence(self) -> str:
        """What happened, for a person."""
        text = (
            f"Loaded {len(self.loaded)} tensors from {self.origin} "
            f"(SHA-256 {self.sha256[:12]}...)"
        )
        for name, channels in self.adapted.items():
            how = "summed over RGB for 1 channel"
            if channels > 1:
                how = f"cycled through RGB and rescaled for {channels} channels"
            text += f"; {name} was {how}"
        if self.left_random:
            text += f"; new and random: {', '.join(self.left_random)}"
        return f"{text}."


def load_weights(
    model: "keras.Model",
    spec: ModelSpec,
    source: WeightSource | Weights | KerasWeights | str | Path,
    *,
    new_head: bool = False,
) -> LoadReport:
    """Loads trained weights into a network that the spec has built.

    Args:
        model: The network.
        spec: Its record in the catalogue.
        source: A record of weights, or the path of a `.safetensors` or `.pth`
            state dict in the spec's source layout, or of a `.keras` or
            `.weights.h5` file of a model with the same layers; or one of them
            opened by `open_weights`.
        new_head: Whether the classifier stays random, which is logged as a
            warning. A model without a classifier needs no such permission.

    Returns: A report of what was loaded. A first convolution that was trained
        on RGB is fitted to the channels of the model.

    Raises:
        FileNotFoundError: The file is not there; where it belongs to a
            package, the sentence says how to install it.
        ValueError: The file is damaged, is for another network, or holds
            values that are not finite. The model is then unchanged.
    """
    if not isinstance(source, WeightSource):
        source = open_weights(spec, source)
    variables = named_variables(model)
    random = [name for name in HEAD_VARIABLES if new_head and name in variables]
    wanted = {k: v for k, v in variables.items() if k not in random}
    tensors = source.tensors(variables)
    adapted = adapted_stem(tensors, variables)
    tensors = {**tensors, **adapted}
    _check_names(tensors, wanted, spec, source)
    _check_values(tensors, wanted, spec, source)
    for name, variable in wanted.items():
        variable.assign(tensors[name])
    report = LoadReport(
        source.origin,
        source.sha256,
        tuple(wanted),
        tuple(random),
        {name: kernel.shape[2] for name, kernel in adapted.items()},
    )
    level = logging.WARNING if random or adapted else logging.INFO
    logger.log(level, report.sentence())
    return report


def _check_names(
    tensors: Mapping[str, np.ndarray],
    wanted: Mapping[str, Any],
    spec: ModelSpec,
    source: WeightSource,
) -> None:
    missing = [name for name in wanted if name not in tensors]
    unknown = [
        name
        for name in tensors
        if name not in wanted and name not in HEAD_VARIABLES
    ]
    if missing or unknown:
        hint = (
            " The `model.keras` of a run is used by naming the run's folder."
            if isinstance(source, KerasFile)
            else ""
        )
        raise ValueError(mismatch(spec.name, missing, unknown) + hint)


def _check_values(
    tensors: Mapping[str, np.ndarray],
    wanted: Mapping[str, Any],
    spec: ModelSpec,
    source: WeightSource,
) -> None:
    for name, variable in wanted.items():
        if tensors[name].shape != tuple(variable.shape):
            raise ValueError(
                f"create_model: {name} of {spec.name} must have the shape "
                f"{tuple(variable.shape)}, but {source.origin} holds "
                f"{tensors[name].shape}; weights of another size or another "
                "number of classes need `num_classes` to match."
            )
        if tensors[name].dtype.kind not in NUMBERS:
            raise ValueError(
                f"create_model: {name} in {source.origin} must hold real "
                f"numbers, but holds {tensors[name].dtype}; get the file again."
            )
        if not np.isfinite(tensors[name]).all():
            raise ValueError(
                f"create_model: {name} in {source.origin} holds NaN or "
                "infinity; get the file again."
            )
