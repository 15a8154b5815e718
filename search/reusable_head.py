"""A head on features that is compiled once and trained again and again.

A trial on cached features takes a few milliseconds of computing. Building a
model and tracing its training step takes a second, and KerasTuner's memory
grows with each. So rate, decay and dropout are variables here, a trial starts
by putting weights back to their beginning, and nothing is traced again.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from dropzoo.models.heads import HEAD
from dropzoo.search.adjustable_dropout import AdjustableDropout

Logs = dict[str, float]


class ReusableHead:
    """A linear classifier, or one with a hidden layer, and its training.

    Args:
        num_features: Channels of the features.
        num_classes: Number of logits.
        hidden_units: Of a hidden layer with ReLU; 0 for none.

    Attributes:
        model: The head, from features `(batch, num_features)` to logits.
    """

    def __init__(self, num_features: int, num_classes: int, hidden_units: int):
        layers = [
            keras.Input((num_features,)),
            AdjustableDropout(seed=0, name="dropout1"),
        ]
        if hidden_units:
            layers += [
                keras.layers.Dense(hidden_units, "relu", name="hidden1"),
                AdjustableDropout(seed=0, name="dropout"),
            ]
        layers += [keras.layers.Dense(num_classes, name=HEAD)]
        self.model = keras.Sequential(layers)
        self._decay = keras.Variable(0.0, trainable=False, name="weight_decay")
        optimizer = keras.optimizers.AdamW()
        optimizer.weight_decay = self._decay
        self.model.compile(
            optimizer,
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        optimizer.build(self.model.trainable_variables)
        self._train = _training(self.model)
        self._score = _scoring(self.model)

    def start(self, *, dropout: float, weight_decay: float, seed: int) -> None:
        """Puts everything back to where a training begins.

        The last layer starts at zero, the hidden one as He et al. have it.

        Args:
            dropout: Rate before each dense layer.
            weight_decay: Of AdamW.
            seed: Of weights and of dropping.
        """
        rng = np.random.default_rng(seed)
        for variable in self.model.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        for layer in self.model.layers:
            if isinstance(layer, AdjustableDropout):
                layer.rate.assign(dropout)
                layer.seeds.state.assign(rng.integers(2**31, size=2))
                continue
            spread = 0.0 if layer.name == HEAD else 2 / layer.kernel.shape[0]
            draws = rng.standard_normal(layer.kernel.shape, "float32")
            layer.kernel.assign(draws * np.float32(np.sqrt(spread)))
            layer.bias.assign(np.zeros(layer.bias.shape, "float32"))
        self._decay.assign(weight_decay)
        self.model.stop_training = False

    def train(
        self, x: Any, y: Any, order: np.ndarray, rates: np.ndarray
    ) -> Logs:
        """Makes some steps.

        Args:
            x: Features `(examples, num_features)`, a float32 tensor.
            y: Classes `(examples,)`, an int32 tensor.
            order: Which examples each step sees, `(steps, batch)`, int32.
            rates: Learning rate of each step, `(steps,)`, float32.

        Returns: Mean loss and accuracy of the steps.
        """
        loss, accuracy = self._train(x, y, order, rates)
        return {"loss": float(loss), "accuracy": float(accuracy)}

    def score(self, x: Any, y: np.ndarray) -> Logs:
        """Loss and accuracy.

        Args:
            x: Features `(examples, num_features)`, a float32 tensor.
            y: Classes `(examples,)`, an int32 tensor.
        """
        loss, accuracy = self._score(x, y)
        return {"loss": float(loss), "accuracy": float(accuracy)}


def _loss_and_hits(y: Any, logits: Any) -> tuple[Any, Any]:
    """Mean cross-entropy, and the share of examples that are right."""
    losses = ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
    hits = ops.equal(ops.cast(ops.argmax(logits, axis=1), "int32"), y)
    return ops.mean(losses), ops.mean(ops.cast(hits, "float32"))


def _training(model: keras.Model) -> Callable[..., Any]:
    """Makes all steps of an epoch at once, where TensorFlow can."""
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_training(model)

    def train(x, y, order, rates):
        logs = []
        for rows, rate in zip(order, rates, strict=True):
            model.optimizer.learning_rate = float(rate)
            logs.append(model.train_on_batch(x[rows], y[rows]))
            model.reset_metrics()
        return np.mean(logs, axis=0)

    return train


def _tensorflow_training(model: keras.Model) -> Callable[..., None]:
    import tensorflow as tf

    optimizer, variables = model.optimizer, model.trainable_variables

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, model.input_shape[1]), tf.float32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None,), tf.float32),
        ]
    )
    def train(x, y, order, rates):
        total = tf.zeros(2)
        for step in tf.range(tf.shape(order)[0]):
            rows = order[step]
            optimizer.learning_rate = rates[step]
            with tf.GradientTape() as tape:
                logits = model(tf.gather(x, rows), training=True)
                loss, hits = _loss_and_hits(tf.gather(y, rows), logits)
            optimizer.apply(tape.gradient(loss, variables), variables)
            total += tf.stack([loss, hits])
        return tf.unstack(total / tf.cast(tf.shape(order)[0], tf.float32))

    return train.get_concrete_function()


def _scoring(model: keras.Model) -> Callable[..., Any]:
    def score(x, y):
        return _loss_and_hits(y, model(x, training=False))

    if keras.backend.backend() != "tensorflow":
        return score
    import tensorflow as tf

    return tf.function(score).get_concrete_function(
        tf.TensorSpec((None, model.input_shape[1]), tf.float32),
        tf.TensorSpec((None,), tf.int32),
    )
