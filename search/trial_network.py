"""Builds the network that a trial of a search has drawn."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from dropzoo.models import create_model, freeze, graft, replace_head
from dropzoo.models.layer_places import layer_places

Shape = tuple[int, int, int]


def build_network(
    settings: Mapping[str, Any],
    num_classes: int,
    *,
    weights: str | None,
    input_shape: Shape | None,
    seed: int,
) -> keras.Model:
    """Builds and freezes a network, with a new head.

    Args:
        settings: Values by parameter; what is missing has no effect.
        num_classes: Number of logits.
        weights: As `create_model` takes them.
        input_shape: Where `settings` has no `image_size`; `None` for the
            network's own.
        seed: Of weights and of dropping. Equal seeds give equal networks.

    Returns: A network that ends in logits, not compiled.
    """
    keras.utils.set_random_seed(seed)
    side = settings.get("image_size")
    with _without_reports():
        backbone = create_model(
            settings["backbone"],
            weights=weights,
            num_classes=0,
            input_shape=(side, side, 3) if side else input_shape,
            seed=seed,
            **_techniques(settings),
        )
        units = settings.get("hidden_units", 0)
        network = replace_head(
            backbone,
            num_classes,
            hidden=(units,) if units else (),
            dropout=settings.get("dropout", 0.0),
            seed=seed,
        )
    if settings.get("dropconnect"):
        network = graft(network, dropconnect=settings["dropconnect"], seed=seed)
    frozen = settings.get("freeze", "none")
    freeze(network, backbone.layers[-1].name if frozen == "all" else frozen)
    if settings.get("batch_norm") == "frozen":
        for place in layer_places(network):
            if isinstance(place.operation, keras.layers.BatchNormalization):
                place.operation.trainable = False
    return network


def _techniques(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the builder for what it is to do otherwise than the paper."""
    drawn = {
        name: settings.get(name) for name in ("pooling", "stochastic_depth")
    }
    return {name: x for name, x in drawn.items() if x and x != "own"}


@contextlib.contextmanager
def _without_reports() -> Iterator[None]:
    """Silences what is said of a new head, which every trial would repeat."""
    logger = logging.getLogger("dropzoo")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
