"""Where fine-tuning starts: a pretrained network without its classifier."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from dropzoo.models.catalogue import create_model, find_weights, model_info
from dropzoo.models.folding import fold_batch_normalization
from dropzoo.models.heads import HEAD, classifier
from dropzoo.models.saved_model import load_saved_model as load_saved_model
from dropzoo.models.techniques import Techniques
from dropzoo.models.weight_sources import sha256_of_file
from dropzoo.models.weights import load_weights

DROPOUT = 0.2


@dataclass(frozen=True)
class StartingPoint:
    """A network from raw RGB to pooled features, safe to fine-tune.

    Its BatchNorms are folded into the convolutions wherever that is possible.

    Args:
        backbone: From images `(batch, height, width, 3)` in [0, 255] to
            features `(batch, channels)`.
        facts: What a person wants to know of it: name, weights, licence and
            so on.
        loaded: What the weights' loading did, in a sentence.
    """

    backbone: keras.Model
    facts: dict[str, Any] = field(default_factory=dict)
    loaded: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        return tuple(self.backbone.input_shape[1:3])

    def with_classifier(self, num_classes: int, seed: int) -> keras.Model:
        """The backbone with dropout and a new dense layer on top.

        The backbone's layers are shared, not copied.

        Args:
            num_classes: Number of logits.
            seed: Of the dropout.
        """
        logits = classifier(
            self.backbone.output, num_classes, DROPOUT, Techniques(seed=seed)
        )
        return keras.Model(self.backbone.input, logits, name=self.backbone.name)


def from_catalogue(
    name: str, weights: str | None, image_size: int | None
) -> StartingPoint:
    """Starts from a network of the catalogue.

    Args:
        name: Its name.
        weights: Tag or file, as `create_model` takes them.
        image_size: Side of the input in pixels; `None` for the network's own.

    Raises: What `create_model` raises.
    """
    spec = model_info(name)
    size = image_size or spec.input_size
    model = create_model(name, num_classes=0, input_shape=(size, size, 3))
    facts: dict[str, Any] = {"name": name, "reference": spec.reference}
    loaded = "Random weights."
    record = find_weights(spec, weights)
    if weights is not None:
        report = load_weights(model, spec, record or weights)
        loaded = report.sentence()
        facts |= {"weights": report.origin, "SHA-256": report.sha256}
    if record is not None:
        facts |= {"licence": record.licence, "origin": record.origin}
    backbone = fold_batch_normalization(model)
    facts |= {"parameters": backbone.count_params(), "input": f"{size} px"}
    return StartingPoint(backbone, facts, loaded)


def from_saved_model(path: Path, image_size: int | None) -> StartingPoint:
    """Starts from the network inside a `model.keras` of an earlier run.

    Args:
        path: The file.
        image_size: Must be `None` or the network's own size.

    Raises: ValueError when the file holds no network of ours, or another
        size is asked for.
    """
    network = network_of(load_saved_model(path))
    features = network.get_layer(HEAD).input
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.output is features:
            features = layer.input
    backbone = keras.Model(network.input, features, name=network.name)
    point = StartingPoint(
        backbone,
        {
            "name": network.name,
            "weights": str(path),
            "SHA-256": sha256_of_file(path),
            "parameters": backbone.count_params(),
            "input": f"{network.input_shape[1]} px",
        },
        f"Loaded the backbone of {path}; the classifier is new.",
    )
    if image_size not in (None, point.size[0]):
        raise ValueError(
            f"finetune: `image_size` must be that of the earlier run, "
            f"{point.size[0]}. Received: image_size={image_size!r}"
        )
    return point


def network_of(model: keras.Model) -> keras.Model:
    """The network inside a saved raw-input model.

    Args:
        model: What `load_saved_model` gave.

    Raises: ValueError when there is none.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model) and any(
            inner.name == HEAD for inner in layer.layers
        ):
            return layer
    raise ValueError(
        f"{model.name} holds no network with a classifier named {HEAD!r}; "
        "a `model.keras` of `dropzoo finetune` was expected."
    )
