"""Makes a network of `keras.applications` one of the catalogue.

Keras's own function builds it; its layers are then made again, without its
preprocessing and its classifier, under names that do not depend on what else
was built, behind our normalisation and before our classifier.
"""

import inspect
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dropzoo.models.heads import classifier
from dropzoo.models.seeds import layer_seed
from dropzoo.models.spec import Preprocessing
from dropzoo.models.techniques import Techniques

if TYPE_CHECKING:
    import keras

# Of hidden layers, as configs spell them; gates are sigmoids.
ACTIVATIONS = ("relu", "silu", "gelu", "hard_silu")


@dataclass(frozen=True)
class Adapted:
    """Builds one network of `keras.applications`.

    Args:
        function: Name of Keras's function, such as `"ResNet50"`.
        family: What builders of the same family share. They compare equal, as
            one builder does that takes a variant's arguments.
    """

    function: str = field(compare=False)
    family: str

    def __call__(
        self,
        *,
        name: str,
        num_classes: int,
        input_shape: tuple[int, int, int],
        preprocessing: Preprocessing | None,
        techniques: Techniques,
        dropout: float = 0.0,
    ) -> "keras.Model":
        """Builds the network.

        Args:
            name: Name of the model.
            num_classes: Number of logits; 0 ends in the features before the
                classifier.
            input_shape: `(height, width, channels)`.
            preprocessing: Normalisation of raw RGB, or `None`.
            techniques: What to vary. The network keeps the depth drops that
                Keras gives it unless `stochastic_depth` rates them anew.
            dropout: Rate in [0, 1) before the classifier.

        Returns: A functional `keras.Model`.

        Raises: ValueError when a rate is outside its range, or there is no
            place for a technique.
        """
        import keras

        from dropzoo.models.preprocessing import normalization

        original = original_network(self.function, input_shape, num_classes=1)
        images = keras.Input(input_shape, name="images")
        x = normalization(preprocessing)(images) if preprocessing else images
        features = _features(original, x, techniques)
        if any(is_hidden_dense(layer) for layer in original.layers):
            # DropConnect is for the hidden layers, where there are some.
            techniques = replace(techniques, dropconnect=0.0)
        logits = classifier(features, num_classes, dropout, techniques)
        return grafted(keras.Model(images, logits, name=name), techniques)


def original_network(
    function: str, input_shape: tuple[int, int, int], num_classes: int
) -> "keras.Model":
    """A network as Keras builds it, with random weights and logits.

    Args:
        function: Name of Keras's function.
        input_shape: `(height, width, channels)`.
        num_classes: At least 1.
    """
    import keras

    build = getattr(keras.applications, function)
    options: dict[str, Any] = {}
    if "include_preprocessing" in inspect.signature(build).parameters:
        options["include_preprocessing"] = False
    return build(
        weights=None,
        # Given as a shape, other channels than 1 or 3 would be warned of.
        input_tensor=keras.Input(input_shape),
        classes=num_classes,
        classifier_activation=None,
        **options,
    )


def original_classifier(original: "keras.Model") -> "keras.Layer":
    """The layer that gives the logits, a dense one or a 1x1 convolution.

    Args:
        original: A network as Keras builds it.
    """
    return [layer for layer in original.layers if layer.weights][-1]


def is_hidden_dense(layer: Any) -> bool:
    """Whether a layer is dense, reads vectors and is no classifier.

    Args:
        layer: A layer of a network as Keras builds it.
    """
    import keras

    return isinstance(layer, keras.layers.Dense) and layer.name[:2] == "fc"


def is_preprocessing(layer: Any) -> bool:
    """Whether a layer normalises the input.

    Args:
        layer: A layer or operation of a network as Keras builds it.
    """
    import keras

    kinds = (keras.layers.Rescaling, keras.layers.Normalization)
    return isinstance(layer, kinds)


def before_classifier(original: "keras.Model") -> Any:
    """The tensor that the classifier reads, before dropout.

    Args:
        original: A network as Keras builds it.
    """
    import keras

    end = original_classifier(original).input
    while isinstance(_source(end), keras.layers.Dropout):
        end = _source(end).input
    return end


def _features(original: "keras.Model", x: Any, techniques: Techniques) -> Any:
    """Makes everything before the classifier and its dropout again."""
    import keras

    from dropzoo.models.replay import replay, stable_names

    names = stable_names(original)

    def make(operation: Any, read: Any) -> Any:
        if is_preprocessing(operation):
            return None
        return made_again(operation, read, names[id(operation)], techniques)

    end = before_classifier(original)
    features = replay(x, original.inputs[0], end, make)
    if len(features.shape) == 4:  # 1x1, for a classifier that is a convolution
        features = keras.layers.Flatten(name="features")(features)
    return features


def made_again(
    operation: Any, read: Any, name: str, techniques: Techniques
) -> Any:
    """A layer or operation again, as the techniques want it.

    Args:
        operation: Of a network as Keras builds it.
        read: The symbolic tensor that it reads.
        name: Its new name.
        techniques: The activation, the seed and DropConnect are used.
    """
    import keras

    from dropzoo.layers import DropConnectDense
    from dropzoo.models.layer_copies import convert, copy_operation

    if not isinstance(operation, keras.Layer):
        copy = copy_operation(operation)
        copy.name = name
        return copy
    changes: dict[str, Any] = {"name": name}
    config = operation.get_config()
    if "seed" in config:
        changes["seed"] = layer_seed(techniques.seed, name)
    if techniques.activation is not None:
        if isinstance(operation, keras.layers.ReLU) and not _is_gate(read):
            return keras.layers.Activation(
                techniques.activation, name=name, dtype=operation.dtype_policy
            )
        if config.get("activation") in ACTIVATIONS:
            changes["activation"] = techniques.activation
    if techniques.dropconnect and is_hidden_dense(operation):
        changes["seed"] = layer_seed(techniques.seed, name)
        rate = techniques.dropconnect
        return convert(operation, DropConnectDense, rate=rate, **changes)
    return type(operation).from_config({**config, **changes})


def _is_gate(read: Any) -> bool:
    """Whether a ReLU that reads this tensor is part of a hard sigmoid.

    MobileNetV3 writes it as `relu6(x + 3) / 6`, a sum that is no layer.
    """
    import keras

    return not isinstance(_source(read), keras.Layer)


def _source(tensor: Any) -> Any:
    """The layer or operation that a symbolic tensor comes from."""
    return tensor._keras_history.operation


def grafted(model: "keras.Model", techniques: Techniques) -> "keras.Model":
    """The network with what `graft` has to put into it.

    Args:
        model: The network.
        techniques: Stochastic depth, DropBlock, pooling and the seed are used.

    Raises: ValueError when there is no place for a technique.
    """
    from dropzoo.models.graft import graft

    wanted: dict[str, Any] = {}
    if techniques.stochastic_depth:
        wanted["stochastic_depth"] = techniques.stochastic_depth
    if techniques.drop_block:
        wanted["drop_block"] = techniques.drop_block
    if techniques.pooling == "fractional":
        wanted["pooling"] = (techniques.pooling, _shrinks)
    elif techniques.pooling is not None:
        wanted["pooling"] = techniques.pooling
    return graft(model, **wanted, seed=techniques.seed) if wanted else model


def _shrinks(layer: Any) -> bool:
    """Whether a pooling layer makes its map smaller."""
    return max(getattr(layer, "strides", (1,))) > 1
