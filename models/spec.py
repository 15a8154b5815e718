"""What the catalogue knows about a network and its weights.

Everything here can be read without Keras: `dropzoo list` prints it.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dropzoo.models.keras_weights import KerasWeights

# The photos on which bundled weights are re-measured; see
# tests/models/test_pretrained.py.
FOOLBOX = "of the 20 photos of PyPI foolbox 3.3.4, stretched to the input"


@dataclass(frozen=True)
class Preprocessing:
    """How raw RGB in [0, 255] becomes what a network was trained on.

    Args:
        mean: Mean of each channel, in [0, 255]; subtracted first. A single
            number serves any number of channels.
        scale: Divisor of each channel, or of all, after the mean.
        crop: Side of the centre crop as a share of the resized image's
            shorter side, in (0, 1], in the protocol of the published accuracy.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    crop: float = 0.875


# Levels of resolution, as `dropzoo.models.feature_extractor` names them.
LEVELS = tuple(f"stride_{2**power}" for power in range(1, 8))

# Mean and standard deviation over the training images of each.
IMAGENET = Preprocessing((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
CIFAR10 = Preprocessing((125.3, 123.0, 113.9), (63.0, 62.1, 66.7), crop=1.0)
MNIST = Preprocessing((33.3,), (78.6,), crop=1.0)


@dataclass(frozen=True)
class Weights:
    """One set of trained weights and where it can be had.

    Args:
        tag: Name by which `create_model(weights=...)` asks for them.
        package: Distribution on PyPI that contains the file.
        module: Import package in which the file lies.
        file: Path of the file inside that import package.
        sha256: SHA-256 of the file, hexadecimal.
        preprocessing: What the network's input went through in training.
        num_classes: Outputs of the classifier.
        licence: SPDX name of the licence of the weights.
        origin: Who trained them and where they were published.
        accuracy_reported: Top-1 accuracy on ImageNet by its authors, in
            [0, 1].
        accuracy_measured: What was re-measured here, in words.
        extra: The extra of dropzoo that installs the package, if one does.
    """

    tag: str
    package: str
    module: str
    file: str
    sha256: str
    preprocessing: Preprocessing
    num_classes: int
    licence: str
    origin: str
    accuracy_reported: float | None = None
    accuracy_measured: str | None = None
    extra: str | None = None

    @property
    def install_command(self) -> str:
        """The command that installs the package."""
        if self.extra is not None:
            return f"pip install 'dropzoo[{self.extra}]'"
        # The packages hold data; what they ask for besides is not needed.
        return f"pip install --no-deps {self.package}"

    def find_file(self) -> Path | None:
        """The installed file, or `None` where the package is missing."""
        module = importlib.util.find_spec(self.module)
        if module is None or not module.submodule_search_locations:
            return None
        for folder in module.submodule_search_locations:
            path = Path(folder) / self.file
            if path.is_file():
                return path
        return None


@dataclass(frozen=True)
class ModelSpec:
    """One network of the catalogue.

    Args:
        name: Name by which `create_model` builds it.
        build: Builder. It takes `name`, `num_classes`, `input_shape`,
            `preprocessing`, `techniques` (see `models/techniques.py`), the
            keyword arguments below, and returns a functional Keras model that
            ends in logits.
        kwargs: Arguments of the builder that make this variant.
        input_size: Side of the square input in pixels.
        parameters: Trainable parameters with `num_classes` classes and
            `channels` channels, as published (BatchNorm's statistics are not
            counted).
        preprocessing: Used where no weights are asked for.
        weights: Trained weights, the recommended first.
        source_names: Maps the name of one of our layers to the name of its
            module in a PyTorch state dict.
        other_source_names: The same for state dicts of other projects that
            hold the same network.
        lacks: Techniques that the network has no place for, each with the
            reason, to go on after "because".
        num_classes: Of the published network.
        channels: Of the published network's input.
        smallest_size: Side of the smallest input that the network can be
            built for, in pixels.
        levels: Levels of resolution at the size of the published network, the
            finest first.
        flattened: Names of dense layers that take a flattened map, each with
            the channels of that map. PyTorch puts them first, Keras last.
        reference: The paper.
    """

    name: str
    build: Callable[..., Any]
    input_size: int
    parameters: int
    preprocessing: Preprocessing
    reference: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    weights: "tuple[Weights | KerasWeights, ...]" = ()
    source_names: Callable[[str], str] | None = None
    other_source_names: tuple[Callable[[str], str], ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    num_classes: int = 1000
    channels: int = 3
    smallest_size: int = 1
    levels: tuple[str, ...] = LEVELS[:5]
    flattened: Mapping[str, int] = field(default_factory=dict)
