"""Lists, describes and builds the networks of the zoo."""

import difflib
import fnmatch
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dropzoo.models import efficientnet_lite, mobilenet_v2
from dropzoo.models.spec import ModelSpec, Weights

if TYPE_CHECKING:
    import keras

FAMILIES = (efficientnet_lite, mobilenet_v2)


def _index(families) -> MappingProxyType[str, ModelSpec]:
    specs: dict[str, ModelSpec] = {}
    for family in families:
        for spec in family.SPECS:
            if spec.name in specs:
                raise ValueError(
                    f"catalogue: the name {spec.name!r} stands twice; "
                    "every model needs a name of its own."
                )
            specs[spec.name] = spec
    return MappingProxyType(specs)


CATALOGUE = _index(FAMILIES)


def list_models(
    pattern: str = "*", *, pretrained: bool | None = None
) -> list[str]:
    """Names of the networks that match a pattern.

    Args:
        pattern: Shell pattern, such as `"efficientnet*"`.
        pretrained: `True` for networks with trained weights, `False` for
            those without, `None` for both.

    Returns: Names in alphabetical order.

    Example:
        >>> list_models("mobilenet*")
        ['mobilenet_v2']
    """
    return sorted(
        name
        for name, spec in CATALOGUE.items()
        if fnmatch.fnmatchcase(name, pattern)
        and pretrained in (None, bool(spec.weights))
    )


def model_info(name: str) -> ModelSpec:
    """What the catalogue knows about a network.

    Args:
        name: A name from `list_models()`.

    Raises: ValueError when there is no such network; it names close matches.

    Example:
        >>> model_info("efficientnet_lite0").input_size
        224
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    close = difflib.get_close_matches(str(name), CATALOGUE, n=3, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(map(repr, close))}?"
        if close
        else "`dropzoo list` shows all names."
    )
    raise ValueError(
        f"model_info: `name` must be a model of the catalogue. "
        f"Received: name={name!r}; {hint}"
    )


def create_model(
    name: str,
    *,
    weights: str | None = None,
    num_classes: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
    include_preprocessing: bool = True,
    **overrides: Any,
) -> "keras.Model":
    """Builds a network, with trained weights where they are asked for.

    Args:
        name: A name from `list_models()`.
        weights: `None` for random weights; a tag of the catalogue, such as
            `"imagenet"`; or the path of a `.safetensors`, `.pth`, `.keras` or
            `.weights.h5` file that was made for this network.
        num_classes: Number of logits. `None` takes the weights' own (1000
            without weights), 0 builds no head: the model then ends in pooled
            features.
        input_shape: `(height, width, 3)`. Defaults to the network's own size.
        include_preprocessing: Whether the model takes raw RGB in [0, 255] and
            normalises it inside. Otherwise the caller normalises.
        **overrides: Further arguments of the network's builder, such as
            `stochastic_depth=0.2`.

    Returns: A functional `keras.Model` from images
        `(batch, height, width, 3)`, uint8 or float, to logits
        `(batch, num_classes)`.

    Raises:
        ValueError: An unknown name or option, an illegal size, or weights
            that do not fit.
        FileNotFoundError: The weights are not installed, or no such file.
    """
    from dropzoo.models.weights import load_weights

    spec = model_info(name)
    trained = find_weights(spec, weights)
    _check_arguments(num_classes, input_shape, overrides)
    classes_of_weights = trained.num_classes if trained else 1000
    classes = classes_of_weights if num_classes is None else num_classes
    model = spec.build(
        name=spec.name,
        num_classes=classes,
        input_shape=input_shape or (spec.input_size, spec.input_size, 3),
        preprocessing=(
            (trained or spec).preprocessing if include_preprocessing else None
        ),
        **{**spec.kwargs, **overrides},
    )
    if weights is not None:
        new_head = num_classes not in (None, classes_of_weights)
        load_weights(model, spec, trained or weights, new_head=new_head)
    return model


def find_weights(spec: ModelSpec, weights: str | None) -> Weights | None:
    """The record of a tag; `None` for no weights and for a file's path."""
    if weights is None:
        return None
    for record in spec.weights:
        if weights == record.tag:
            return record
    if "." in weights or "/" in weights:
        return None
    tags = ", ".join(repr(record.tag) for record in spec.weights) or "none"
    raise ValueError(
        f"create_model: `weights` must be None, a tag that {spec.name} has "
        f"({tags}) or the path of a file. Received: weights={weights!r}"
    )


def _check_arguments(num_classes, input_shape, overrides) -> None:
    if num_classes is not None and (
        not isinstance(num_classes, int) or num_classes < 0
    ):
        raise ValueError(
            "create_model: `num_classes` must be None, 0 (no head) or a "
            f"positive whole number. Received: num_classes={num_classes!r}"
        )
    if input_shape is not None and (
        len(input_shape) != 3 or input_shape[2] != 3 or min(input_shape) < 1
    ):
        raise ValueError(
            "create_model: `input_shape` must be (height, width, 3). "
            f"Received: input_shape={input_shape!r}"
        )
    for fixed in ("name", "preprocessing"):
        if fixed in overrides:
            raise ValueError(
                f"create_model: `{fixed}` cannot be overridden; it comes from "
                "the catalogue."
            )
