"""Image classifiers of KerasHub, by the names of their presets.

A preset lies at Kaggle, architecture and preprocessing too, so that KerasHub
downloads it even for random weights.
"""

import importlib.util
import logging
from typing import TYPE_CHECKING, Any

from dropzoo.models.heads import HEAD, classifier
from dropzoo.models.keras_adapter import (
    before_classifier,
    grafted,
    made_again,
    original_classifier,
)
from dropzoo.models.techniques import TECHNIQUES, Techniques

if TYPE_CHECKING:
    import keras

logger = logging.getLogger("dropzoo")

PREFIX = "hub:"
PACKAGE = "keras_hub"


def is_hub_name(name: Any) -> bool:
    """Whether a name, or a pattern of names, is one of KerasHub's presets.

    Args:
        name: What a caller gave.
    """
    return isinstance(name, str) and name.startswith(PREFIX)


def hub_presets() -> list[str]:
    """Names of the presets for image classification, with the prefix.

    Returns: Names in alphabetical order; none where KerasHub is not installed.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        return []
    import keras_hub

    presets = keras_hub.models.ImageClassifier.presets
    return sorted(f"{PREFIX}{name}" for name in presets)


def create_hub_model(
    name: str,
    *,
    weights: Any = None,
    num_classes: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
    include_preprocessing: bool = True,
    dropout: float = 0.0,
    **techniques: Any,
) -> "keras.Model":
    """Builds an image classifier of KerasHub, as `create_model` does.

    Args:
        name: `"hub:"` and the name of a preset.
        weights: `None` for random ones, `"preset"` for those of the preset.
        num_classes: Number of logits. `None` takes the preset's own; any number
            leaves the classifier random, and 0 builds none.
        input_shape: `(height, width, channels)`. Defaults to the preset's own.
        include_preprocessing: Whether the model takes raw RGB in [0, 255].
        dropout: Rate in [0, 1) before the classifier.
        **techniques: See `dropzoo.models.Techniques`.

    Raises:
        ImportError: KerasHub is not installed.
        ValueError: An argument breaks its rule, KerasHub has no such preset, or
            its network cannot be made one of ours.
    """
    for option in techniques:
        if option not in TECHNIQUES:
            raise ValueError(
                f"create_model: {name} has no option `{option}`; its options "
                f"are dropout, {', '.join(TECHNIQUES)}."
            )
    if weights not in (None, "preset"):
        raise ValueError(
            f"create_model: `weights` of {name} must be None or 'preset'. "
            f"Received: weights={weights!r}"
        )
    original, converter = _load(name, weights is not None, num_classes)
    if input_shape is None and converter.image_size is not None:
        input_shape = (*converter.image_size, 3)
    if input_shape is None:
        raise ValueError(
            f"create_model: {name} has no size of its own; give `input_shape`."
        )
    return adapted_classifier(
        original,
        converter if include_preprocessing else None,
        name=name.removeprefix(PREFIX),
        num_classes=num_classes,
        input_shape=input_shape,
        dropout=dropout,
        techniques=Techniques(**techniques),
    )


def adapted_classifier(
    original: "keras.Model",
    converter: Any,
    *,
    name: str,
    num_classes: int | None,
    input_shape: tuple[int, int, int],
    dropout: float,
    techniques: Techniques,
) -> "keras.Model":
    """A classifier of KerasHub from raw RGB to logits, with its weights.

    Args:
        original: An `ImageClassifier` of KerasHub.
        converter: Its `ImageConverter`, of which scale and offset are used, or
            `None` for no preprocessing.
        name: Of the model.
        num_classes: `None` keeps the classifier.
        input_shape: `(height, width, channels)`.
        dropout: Rate in [0, 1) before the classifier.
        techniques: What to vary.

    Returns: A functional model of layers of its own.

    Raises: ValueError when the network has another form than a dense layer
        behind a network with one output.
    """
    import keras

    from dropzoo.models.replay import replay, stable_names

    _check_form(original, name)
    names, pairs = stable_names(original), []

    def make(operation: Any, read: Any) -> Any:
        new = made_again(operation, read, names[id(operation)], techniques)
        pairs.append((operation, new))
        return new

    images = keras.Input(input_shape, name="images")
    x = images if converter is None else _normalization(converter)(images)
    features = replay(x, original.inputs[0], before_classifier(original), make)
    head = original_classifier(original)
    classes = head.units if num_classes is None else num_classes
    logits = classifier(features, classes, dropout, techniques)
    model = keras.Model(images, logits, name=name)
    if num_classes is None:
        pairs.append((head, model.get_layer(HEAD)))
    for old, new in pairs:
        if isinstance(old, keras.Layer):
            new.set_weights(old.get_weights())
    return grafted(model, techniques)


def _load(name: str, with_weights: bool, num_classes: int | None) -> Any:
    """The classifier of a preset and its converter."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise ImportError(
            f"create_model: {name} is a preset of KerasHub, which is not "
            "installed; run `pip install 'dropzoo[hub]'`."
        )
    import keras_hub

    preset = name.removeprefix(PREFIX)
    # Given a number, KerasHub makes a new classifier.
    options = {} if num_classes is None else {"num_classes": 1}
    try:
        original = keras_hub.models.ImageClassifier.from_preset(
            preset, load_weights=with_weights, **options
        )
        preprocessor = keras_hub.models.ImageClassifierPreprocessor.from_preset(
            preset
        )
    except Exception as error:  # Kaggle's errors are of many classes.
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"create_model: KerasHub cannot load {name} ({reason}); "
            "`list_models('hub:*')` lists its presets."
        ) from error
    if with_weights and num_classes:
        logger.warning(
            "Loaded the preset %s; new and random: %s/kernel, %s/bias.",
            preset,
            HEAD,
            HEAD,
        )
    return original, preprocessor.image_converter


def _check_form(original: "keras.Model", name: str) -> None:
    import keras

    head = original_classifier(original)
    backbones = [x for x in original.layers if isinstance(x, keras.Model)]
    several = any(len(backbone.outputs) > 1 for backbone in backbones)
    if several or not isinstance(head, keras.layers.Dense):
        raise ValueError(
            f"create_model: {name} cannot be made a network of the catalogue, "
            "because it is not a dense layer behind a network with one output; "
            "use KerasHub's ImageClassifier."
        )


def _normalization(converter: Any) -> "keras.Layer":
    import keras

    return keras.layers.Rescaling(
        scale=1.0 if converter.scale is None else converter.scale,
        offset=0.0 if converter.offset is None else converter.offset,
        name="normalization",
    )
