"""Levels of resolution: how many times smaller the maps of a network are."""

import math
from typing import TYPE_CHECKING

from dropzoo.models.layer_places import Place, Shape, layer_places

if TYPE_CHECKING:
    import keras


def levels(model: "keras.Model") -> dict[str, str]:
    """The last layer at each resolution of a network.

    Args:
        model: A functional or Sequential model on images. Of a model in which
            another one is called, such as the `model.keras` of a run, the
            layers inside count too, as `"inner/layer"`.

    Returns: `{"stride_2": layer, "stride_4": ...}`, the finest first: the last
        layer or operation, in the order of the model, whose map is that many
        times smaller than the input, or than the first map of a known height
        where the input may have any. Padding belongs to what reads it, and
        pooling over the whole map, as in squeeze-and-excitation and before a
        classifier, makes no level. Empty where the input is not one image, or
        all heights are unknown.
    """
    return {name: at.address for name, at in level_places(model).items()}


def level_places(model: "keras.Model") -> dict[str, Place]:
    """The levels as `levels` finds them, each with its place in the model.

    Args:
        model: As `levels` takes it.
    """
    import keras

    padding = keras.layers.ZeroPadding2D
    if not isinstance(getattr(model, "input_shape", None), tuple):
        return {}  # several inputs, or not built
    maps = [
        (place, rows)
        for place in layer_places(model)
        if place.route is not None and (rows := _rows(place.shape))
    ]
    if not maps:
        return {}
    height = _rows(model.input_shape) or maps[0][1]
    found: dict[int, Place] = {}
    for place, rows in _on_the_way(maps):
        # Odd sizes round up: 15 of 240 is stride 16, 8 of 240 stride 32.
        stride = 2 ** round(math.log2(height / rows))
        if stride > 1 and not isinstance(place.operation, padding):
            found[stride] = place
    return {f"stride_{stride}": found[stride] for stride in sorted(found)}


def _on_the_way(maps: list[tuple[Place, int]]) -> list[tuple[Place, int]]:
    """Maps without those that pooling over a whole map leaves."""
    import keras

    pooling = (
        keras.layers.GlobalAveragePooling2D,
        keras.layers.GlobalMaxPooling2D,
    )
    last = max((i for i, (_, rows) in enumerate(maps) if rows > 1), default=-1)
    kept = [(place, rows) for place, rows in maps[: last + 1] if rows > 1]
    for place, rows in maps[last + 1 :]:
        if isinstance(place.operation, pooling):
            break
        kept.append((place, rows))
    return kept


def _rows(shape: Shape) -> int | None:
    """Height of a map `(batch, height, width, channels)`, if it is one."""
    import keras

    is_last = keras.config.image_data_format() == "channels_last"
    return shape[1 if is_last else 2] if len(shape) == 4 else None
