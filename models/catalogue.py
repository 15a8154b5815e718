"""Lists, describes and builds the networks of the zoo."""

import difflib
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dropzoo.models import (
    alexnet,
    densenet_cifar,
    efficientnet_lite,
    fractional_networks,
    googlenet,
    keras_applications,
    lenet,
    maxout_network,
    mobilenet_v2,
    nin,
    resnet,
    resnet_cifar,
    squeezenet,
    vgg,
    wide_resnet,
    zeiler_fergus,
)
from dropzoo.models.keras_hub import (
    create_hub_model,
    hub_presets,
    is_hub_name,
)
from dropzoo.models.keras_weights import KerasWeights
from dropzoo.models.option_matrix import options
from dropzoo.models.spec import ModelSpec, Weights
from dropzoo.models.techniques import TECHNIQUES, Techniques

if TYPE_CHECKING:
    import keras

FAMILIES = (
    alexnet,
    densenet_cifar,
    efficientnet_lite,
    fractional_networks,
    googlenet,
    keras_applications,
    lenet,
    maxout_network,
    mobilenet_v2,
    nin,
    resnet,
    resnet_cifar,
    squeezenet,
    vgg,
    wide_resnet,
    zeiler_fergus,
)


def _index(families: Iterable[Any]) -> MappingProxyType[str, ModelSpec]:
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
        pattern: Shell pattern, such as `"efficientnet*"`. `"hub:*"` lists the
            presets of KerasHub, where it is installed.
        pretrained: `True` for networks with trained weights, `False` for
            those without, `None` for both.

    Returns: Names in alphabetical order.

    Example:
        >>> list_models("googl*")
        ['googlenet']
    """
    if is_hub_name(pattern):
        presets = [] if pretrained is False else hub_presets()
        return fnmatch.filter(presets, pattern)
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
    if is_hub_name(name):
        raise ValueError(
            "model_info: what begins with 'hub:' is described by KerasHub and "
            f"not by the catalogue. Received: name={name!r}"
        )
    close = _close_names(str(name))
    hint = (
        f"did you mean {' or '.join(map(repr, close))}?"
        if close
        else "`dropzoo list` shows all names."
    )
    raise ValueError(
        f"model_info: `name` must be a model of the catalogue. "
        f"Received: name={name!r}; {hint}"
    )


def _close_names(name: str) -> list[str]:
    """Names like one, which may be spelt as Keras does: "ResNet50V2"."""

    def plain(name: str) -> str:
        return name.lower().replace("_", "").replace("-", "")

    names: dict[str, list[str]] = {}
    for known in CATALOGUE:
        names.setdefault(plain(known), []).append(known)
    spelt = [
        known
        for known, spec in CATALOGUE.items()
        if getattr(spec.build, "function", None) == name
    ]
    close = difflib.get_close_matches(plain(name), names, n=3, cutoff=0.5)
    near = [known for spelling in close for known in names[spelling]]
    return list(dict.fromkeys([*spelt, *near]))


def create_model(
    name: str,
    *,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
    include_preprocessing: bool = True,
    **overrides: Any,
) -> "keras.Model":
    """Builds a network, with trained weights where they are asked for.

    Args:
        name: A name from `list_models()`, or `"hub:"` and the name of a preset
            of KerasHub; see `docs/keras-models.md`.
        weights: `None` for random weights; a tag of the catalogue, such as
            `"imagenet"`; or the path of a `.safetensors`, `.pth`, `.keras` or
            `.weights.h5` file that was made for this network.
        num_classes: Number of logits. `None` takes the weights' own (without
            weights those of the published network). Another number than
            theirs leaves the classifier random, and says so. 0 builds none:
            the model then ends in pooled features.
        input_shape: `(height, width, channels)`, with any number of channels.
            Defaults to the network's own. The first convolution of weights
            that were trained on RGB is summed over it for one channel, and
            repeated and rescaled for others than three, which is said.
        include_preprocessing: Whether the model takes raw RGB in [0, 255] and
            normalises it inside. Otherwise the caller normalises.
        **overrides: What every network can be varied by, see
            `dropzoo.models.Techniques`, such as `stochastic_depth=0.2`,
            `pooling="stochastic"` or `seed=1`; and further arguments of the
            network's builder, such as `dropout=0.2`.

    Returns: A functional `keras.Model` from images
        `(batch, height, width, channels)`, uint8 or float, to logits
        `(batch, num_classes)`.

    Raises:
        ValueError: An unknown name or option, an illegal size, or weights
            that do not fit.
        FileNotFoundError: The weights are not installed, or no such file.
    """
    from dropzoo.models.input_channels import adapt_preprocessing
    from dropzoo.models.weight_sources import open_weights
    from dropzoo.models.weights import load_weights

    if is_hub_name(name):
        _check_arguments(num_classes, input_shape)
        return create_hub_model(
            name,
            weights=weights,
            num_classes=num_classes,
            input_shape=input_shape,
            include_preprocessing=include_preprocessing,
            **overrides,
        )
    spec = model_info(name)
    record = find_weights(spec, weights)
    _check_arguments(num_classes, input_shape)
    _check_overrides(spec, overrides)
    varied = {x: overrides.pop(x) for x in TECHNIQUES if x in overrides}
    source = None if weights is None else open_weights(spec, record or weights)
    classes_of_weights = (
        spec.num_classes if source is None else source.num_classes
    )
    classes = classes_of_weights if num_classes is None else int(num_classes)
    size = input_shape or (spec.input_size, spec.input_size, spec.channels)
    _check_size(spec, size)
    normalise = adapt_preprocessing((record or spec).preprocessing, size[2])
    model = spec.build(
        name=spec.name,
        num_classes=classes,
        input_shape=tuple(map(int, size)),
        preprocessing=normalise if include_preprocessing else None,
        techniques=Techniques(**varied),
        **{**spec.kwargs, **overrides},
    )
    if source is not None:
        new_head = classes != classes_of_weights
        load_weights(model, spec, source, new_head=new_head)
    return model


def find_weights(
    spec: ModelSpec, weights: str | Path | None
) -> Weights | KerasWeights | None:
    """The record of a tag; `None` for no weights and for a file's path.

    Args:
        spec: The network.
        weights: As `create_model` takes them.

    Raises: ValueError when it is neither a tag of the network nor looks like
        a path.
    """
    if weights is None:
        return None
    for record in spec.weights:
        if weights == record.tag:
            return record
    if isinstance(weights, Path) or set("./") & set(weights):
        return None
    tags = ", ".join(repr(record.tag) for record in spec.weights) or "none"
    raise ValueError(
        f"create_model: `weights` must be None, a tag that {spec.name} has "
        f"({tags}) or the path of a file. Received: weights={weights!r}"
    )


def _check_arguments(num_classes: Any, input_shape: Any) -> None:
    if num_classes is not None and not _is_count(num_classes, at_least=0):
        raise ValueError(
            "create_model: `num_classes` must be None, 0 (no head) or a "
            f"positive whole number. Received: num_classes={num_classes!r}"
        )
    if input_shape is not None and not (
        isinstance(input_shape, (tuple, list))
        and len(input_shape) == 3
        and all(_is_count(size, at_least=1) for size in input_shape)
    ):
        raise ValueError(
            "create_model: `input_shape` must be (height, width, channels), "
            "positive whole numbers. "
            f"Received: input_shape={input_shape!r}"
        )


def _check_size(spec: ModelSpec, shape: Sequence[int]) -> None:
    if min(shape[:2]) < spec.smallest_size:
        raise ValueError(
            f"create_model: `input_shape` of {spec.name} must be at least "
            f"{spec.smallest_size} pixels high and wide, lest its poolings "
            f"leave nothing. Received: input_shape={tuple(shape)!r}"
        )


def _is_count(value: Any, at_least: int) -> bool:
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    return is_whole and value >= at_least


def _check_overrides(spec: ModelSpec, overrides: Mapping[str, Any]) -> None:
    free = options(spec)
    for name in overrides:
        if name in spec.lacks:
            raise ValueError(
                f"create_model: {spec.name} takes no `{name}`, because "
                f"{spec.lacks[name]}."
            )
        if name not in free:
            raise ValueError(
                f"create_model: {spec.name} has no option `{name}`; "
                f"its options are {', '.join(free)}."
            )
