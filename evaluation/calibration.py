"""Makes the confidence of a network come true."""

import warnings
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scipy.special import softmax

from dropzoo.models.edits import Edits
from dropzoo.models.functional_graph import Graph, check_has_graph
from dropzoo.models.rewiring import rewire
from dropzoo.models.stripping import training_edits

from .labelled_batches import predict_labelled
from .metrics import SUM_TOLERANCE, Metrics, evaluate_probabilities
from .temperature import fit_temperature

FEWEST, FEW = 20, 100  # validation images
TINY = 1e-37  # nearly the least number that is normal in float32


@dataclass(frozen=True, eq=False)
class Calibration:
    """A calibrated model, and what that changed.

    Attributes:
        model: The model with its temperature.
        temperature: What the logits are divided by.
        before: Figures on the validation images without a temperature.
        after: The same with it. It was fitted on these images; only others
            tell how far it carries.
    """

    model: keras.Model
    temperature: float
    before: Metrics
    after: Metrics

    def sentence(self) -> str:
        """The figures in words."""
        before, after = self.before, self.after
        return (
            f"Temperature {self.temperature:.3g}, fitted on "
            f"{before.num_examples:,} images: calibration error "
            f"{before.expected_calibration_error:.1%} before and "
            f"{after.expected_calibration_error:.1%} after, negative "
            f"log-likelihood {before.negative_log_likelihood:.3f} and "
            f"{after.negative_log_likelihood:.3f}."
        )


def calibrate(
    model: keras.Model, x: Any, y: Any = None, *, batch_size: int = 32
) -> Calibration:
    """Divides a classifier's logits by the temperature that fits best.

    One number `T` for all classes, found where the validation labels are most
    likely under `softmax(logits / T)`. The order of the classes stays, and
    with it every answer; the confidence becomes what comes true. The
    temperature is a `keras.layers.Rescaling` in the model, saved and exported
    with it.

    The model may end in logits, in a softmax layer, or in probabilities of
    another origin, such as the average of an ensemble, whose logarithms then
    serve as logits. What it gives, logits or probabilities, the calibrated
    one gives too. Which it is, is seen by the values: probabilities are at
    least 0 and sum to 1 in each row.

    Args:
        model: Functional or Sequential, with one output `(batch, classes)` of
            at least two classes.
        x: Validation images that the model has not learned from, as an array;
            or batches `(images, labels)`: a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or any iterable. At least 20 images, and
            better 1,000. Sample weights are not used.
        y: Integers in [0, classes), one for each image, where `x` is an
            array.
        batch_size: Images at a time, where `x` is an array; at least 1.

    Returns: `Calibration(model, temperature, before, after)`. The model is an
        independent functional copy, not compiled, without the layers that
        only training needs: it loads with Keras alone wherever the network
        does.

    Raises:
        TypeError: `model` has no graph, or the labels are not integers.
        ValueError: The model's output or the images do not fit, are not
            enough, are of one class, give logits that are not finite, or have
            no best temperature.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(1000, 3))
        >>> y = (x + rng.gumbel(size=x.shape)).argmax(axis=1)
        >>> triple = keras.layers.Rescaling(3.0)  # three times too sure
        >>> model = keras.Sequential([keras.Input((3,)), triple])
        >>> bool(2.8 < calibrate(model, x, y).temperature < 3.2)
        True

    Reference: Guo et al., "On Calibration of Modern Neural Networks", 2017,
        section 4.2.
    """
    end = _End(model)
    outputs, labels = predict_labelled(end.reader, x, y, batch_size=batch_size)
    _check_labels(labels, outputs.shape[1])
    logits = end.logits(outputs)
    temperature = fit_temperature(logits, labels)
    names = [str(label) for label in range(logits.shape[1])]
    before, after = (
        evaluate_probabilities(labels, softmax(scores, axis=1), names)
        for scores in (logits, logits / temperature)
    )
    calibrated = end.with_temperature(temperature)
    return Calibration(calibrated, temperature, before, after)


class _End:
    """The end of a model: where its logits are, and where a temperature goes.

    Attributes:
        reader: A model that shares the layers and gives the logits or, where
            no layer has them, probabilities.
    """

    def __init__(self, model: keras.Model):
        check_has_graph(model, "calibrate")
        shapes = [tuple(x.shape) for x in model.outputs]
        if len(shapes) != 1 or len(shapes[0]) != 2 or (shapes[0][1] or 0) < 2:
            raise ValueError(
                "calibrate: `model` must have one output (batch, classes) of "
                f"two classes or more. Received: {model.name!r} with the "
                f"output shapes {shapes}"
            )
        self.model = model
        self.calls = Graph(model).calls
        self.last = self.calls[-1]
        self.has_softmax = _is_softmax(self.last.operation)
        self.takes_logarithm = False
        output = self.last.input_tensors[0] if self.has_softmax else None
        self.reader = keras.Model(
            model.inputs, model.outputs[0] if output is None else output
        )

    def logits(self, outputs: np.ndarray) -> np.ndarray:
        """The logits in what `reader` gives for some images."""
        if not np.isfinite(outputs).all():
            bad = int((~np.isfinite(outputs).all(axis=1)).sum())
            raise ValueError(
                "calibrate: the model must give finite numbers. Received: NaN "
                f"or infinity for {bad} of {len(outputs)} images; the model "
                "has diverged, or the images are not what it takes."
            )
        sums = outputs.sum(axis=1)
        self.takes_logarithm = not self.has_softmax and bool(
            outputs.min() >= 0 and abs(sums - 1).max() <= SUM_TOLERANCE
        )
        if self.takes_logarithm:
            return np.log(np.maximum(outputs, TINY))
        return outputs

    def with_temperature(self, temperature: float) -> keras.Model:
        """A copy of the model whose logits are divided by a temperature."""
        edits = training_edits(self.model)
        scale = keras.layers.Rescaling(
            1 / temperature, name=self._free("temperature"), dtype="float32"
        )
        if self.has_softmax:
            place = self.last, id(self.last.input_tensors[0])
            edits.before[place] = scale
            return rewire(self.model, edits)
        if not self.takes_logarithm:
            edits.after[id(self.model.outputs[0])].append(scale)
            return rewire(self.model, edits)
        return self._behind_probabilities(edits, scale)

    def _behind_probabilities(
        self, edits: Edits, scale: keras.layers.Rescaling
    ) -> keras.Model:
        copy = rewire(self.model, edits)
        shares = keras.ops.cast(copy.outputs[0], "float32")
        logits = keras.ops.log(keras.ops.maximum(shares, TINY))
        softmax = keras.layers.Softmax(
            name=self._free("calibrated"), dtype="float32"
        )
        return keras.Model(
            copy.inputs, softmax(scale(logits)), name=self.model.name
        )

    def _free(self, name: str) -> str:
        """A name that no layer of the model has."""
        taken = {call.operation.name for call in self.calls}
        while name in taken:
            name += "_again"
        return name


def _is_softmax(operation: Any) -> bool:
    if isinstance(operation, keras.layers.Softmax):
        return True
    return (
        isinstance(operation, keras.layers.Activation)
        and operation.activation is keras.activations.softmax
    )


def _check_labels(labels: np.ndarray, num_classes: int) -> None:
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise TypeError(
            "calibrate: the labels must be integers of the shape (images,); "
            "take the argmax of one-hot rows first. Received: "
            f"{labels.dtype} of the shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"calibrate: the labels must be in [0, {num_classes}), as many as "
            f"the model has classes. Received: {labels.min()} to "
            f"{labels.max()}"
        )
    if len(labels) < FEWEST:
        raise ValueError(
            f"calibrate: `x` must hold at least {FEWEST} validation images, "
            f"better 1,000. Received: {len(labels)}"
        )
    if labels.min() == labels.max():
        raise ValueError(
            "calibrate: the validation images must be of several classes. "
            f"Received: {len(labels)} images of class {labels[0]}"
        )
    if len(labels) < FEW:
        warnings.warn(
            f"calibrate: a temperature fitted on {len(labels)} images is "
            f"uncertain; at least {FEW} are advised.",
            stacklevel=3,
        )
