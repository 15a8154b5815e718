"""Makes layers again from their configs, as they are or with changes."""

import inspect
import tempfile
from typing import Any

import keras

from dropzoo.layers import DropConnect
from dropzoo.models.depth_drops import rate_name
from dropzoo.models.seeds import layer_seed


def copy_operation(operation: Any) -> Any:
    """A layer or operation made again from its config, not built.

    Args:
        operation: A layer or operation.

    Raises: ValueError when it does not come back.
    """
    try:
        copy = type(operation).from_config(operation.get_config())
        if hasattr(operation, "save_assets"):
            _copy_assets(operation, copy)
    except Exception as error:  # A user's class may raise anything.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(
            f"Layer {operation.name!r} cannot be copied, because "
            f"{type(operation).__name__} does not come back from its config "
            f"({reason}); give it a `get_config` with all of its arguments and "
            "register what they name."
        ) from error
    copy.name = operation.name  # which a config may lack
    return copy


def _copy_assets(layer: Any, copy: Any) -> None:
    """Copies what is neither argument nor weight, such as a vocabulary."""
    with tempfile.TemporaryDirectory() as folder:
        layer.save_assets(folder)
        copy.load_assets(folder)


def rerate(layer: keras.Layer, rate: float, seed: int | None) -> keras.Layer:
    """A layer that drops, at another rate.

    Args:
        layer: A layer with a rate, of ours or not.
        rate: The new rate.
        seed: The seed of `graft`; without it the layer keeps its own.

    Returns: A new layer, not built.
    """
    if isinstance(layer, DropConnect):
        # Its config would want the class of the layer in it registered.
        return DropConnect(
            copy_operation(layer.layer),
            rate,
            masks=layer.masks,
            scale=layer.scale,
            seed=layer.seed if seed is None else layer_seed(seed, layer.name),
            name=layer.name,
            dtype=layer.dtype_policy,
        )
    config = layer.get_config()
    config[rate_name(layer)] = rate
    if seed is not None and "seed" in config:
        config["seed"] = layer_seed(seed, layer.name)
    return type(layer).from_config(config)


def convert(layer: keras.Layer, kind: Any, **options: Any) -> keras.Layer:
    """A layer of another class, with those arguments that both have.

    Args:
        layer: A layer.
        kind: The other class, of a layer.
        **options: Further arguments, and others in place of the layer's.

    Returns: A new layer, not built.
    """
    accepted = {"name", "trainable", "dtype"}
    accepted |= set(inspect.signature(kind).parameters)
    config = layer.get_config()
    config = {name: config[name] for name in config if name in accepted}
    return kind.from_config({**config, **options})
