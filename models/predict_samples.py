"""Averages a model with stochastic layers over many random passes."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np


class SampledPredictions(NamedTuple):
    """Outputs over several random passes.

    Attributes:
        mean: Array of the shape of the model's output, `(photos, ...)`.
        spread: Sample standard deviation over the passes, of the same shape:
            how much the members disagree.
    """

    mean: np.ndarray
    spread: np.ndarray


def predict_samples(
    model: keras.Model,
    x: Any,
    num_samples: int,
    *,
    activation: str | Callable | None = None,
    training: bool = True,
    batch_size: int = 32,
    seed: int | None = None,
) -> SampledPredictions:
    """Runs a model several times and averages what comes out.

    The layers of this kit, dropout and Keras's random layers draw anew in
    every pass. Batch normalisation keeps its moving statistics, and every
    weight and counter is put back at the end, so that the model is left as it
    was. One graph is compiled, and one batch at a time is in memory: the
    means and spreads are updated from pass to pass.

    Args:
        model: One input, one output; built.
        x: Array or tensor `(photos, ...)`, or batches: any iterable, such as
            a `tf.data.Dataset`, of inputs or of `(inputs, labels, ...)`.
        num_samples: Number of passes, at least 2. Fractional max pooling
            gains most in the first ten.
        activation: Applied to each pass before averaging, such as
            `"softmax"` for a model of logits: an ensemble averages
            probabilities.
        training: Whether layers act as in training. `False` serves models
            whose inference draws by itself, such as those with
            `FractionalMaxPooling2D(inference="random")`, and keeps their
            dropout off: Graham's model repetition.
        batch_size: Photos at a time, where `x` is an array.
        seed: Makes all passes repeatable, whatever ran before. `None` goes on
            with the model's own random streams.

    Returns: `SampledPredictions(mean, spread)`, as NumPy arrays of float64.

    Raises: ValueError when `num_samples` or `batch_size` is too small, or `x`
        holds nothing.

    Example:
        >>> dropout = keras.layers.Dropout(0.5)
        >>> model = keras.Sequential([keras.Input((3,)), dropout])
        >>> mean, spread = predict_samples(model, np.ones((2, 3)), 100, seed=0)
        >>> mean.shape, bool(abs(mean.mean() - 1) < 0.25)
        ((2, 3), True)

    References: Graham, "Fractional Max-Pooling", 2014, section 4; Gal and
        Ghahramani, "Dropout as a Bayesian Approximation", 2016, section 4.
    """
    _check(num_samples, batch_size)
    one_pass = _Pass(model, activation, training)
    means, spreads = [], []
    with _left_as_it_was(model, seed):
        for batch in _batches(x, batch_size):
            mean, spread = _sample(one_pass, batch, num_samples)
            means.append(mean)
            spreads.append(spread)
    if not means:
        raise ValueError(
            "predict_samples: `x` must hold at least one batch. "
            "Received: nothing. A generator can be read only once"
        )
    return SampledPredictions(np.concatenate(means), np.concatenate(spreads))


def _check(num_samples: int, batch_size: int) -> None:
    """Refuses what cannot give a spread, or a batch."""
    if num_samples < 2:
        raise ValueError(
            "predict_samples: `num_samples` must be at least 2, for there to "
            f"be a spread. Received: num_samples={num_samples!r}"
        )
    if batch_size < 1:
        raise ValueError(
            "predict_samples: `batch_size` must be at least 1. "
            f"Received: batch_size={batch_size!r}"
        )


class _Pass(keras.Model):
    """One random pass of another model, for `predict_on_batch` to compile."""

    def __init__(self, model, activation, training):
        super().__init__(dtype=model.dtype_policy, name="random_pass")
        self.inner = model
        self.activation = keras.activations.get(activation)
        self.acts_as_in_training = training
        self.built = True

    def call(self, inputs):
        return self.activation(
            self.inner(inputs, training=self.acts_as_in_training)
        )


def _batches(x: Any, batch_size: int) -> Iterable[Any]:
    """Inputs, batch by batch, without labels."""
    if hasattr(x, "shape"):
        for start in range(0, x.shape[0], batch_size):
            yield x[start : start + batch_size]
    else:
        for batch in x:
            inputs = batch[0] if isinstance(batch, tuple) else batch
            yield np.asarray(inputs)  # JAX takes no tensors of TensorFlow


def _sample(
    one_pass: keras.Model, batch: Any, num_samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of a batch, one pass at a time (Welford's update)."""
    mean = squares = np.zeros(())
    for count in range(1, num_samples + 1):
        outputs = np.asarray(one_pass.predict_on_batch(batch), "float64")
        change = outputs - mean
        mean = mean + change / count
        squares = squares + change * (outputs - mean)
    return mean, np.sqrt(squares / (num_samples - 1))


@contextlib.contextmanager
def _left_as_it_was(model: keras.Model, seed: int | None) -> Iterator[None]:
    """Holds batch statistics still, and puts back what the passes moved."""
    # Keras has no public way to the layers inside of layers.
    thawed = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
        and layer.trainable
    ]
    seeds = [v for v in model.non_trainable_variables if _is_stream(v)]
    kept = [
        variable
        for variable in model.non_trainable_variables
        if seed is not None or not _is_stream(variable)
    ]
    values = [keras.ops.copy(variable.value) for variable in kept]
    for layer in thawed:
        layer.trainable = False
    if seed is not None:
        _reseed(seeds, seed)
    try:
        yield
    finally:
        for variable, value in zip(kept, values, strict=True):
            variable.assign(value)
        for layer in thawed:
            layer.trainable = True


def _is_stream(variable: keras.Variable) -> bool:
    """Whether this is the state of a random stream."""
    return variable.name == "seed_generator_state"


def _reseed(streams: list[keras.Variable], seed: int) -> None:
    """Starts every stream anew, each in a place of its own."""
    rng = np.random.default_rng(seed)
    for stream in streams:
        stream.assign(rng.integers(2**31, size=2).astype(stream.dtype))
