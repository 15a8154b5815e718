"""Losses: why a larger error can teach a neuron less.

A sigmoid neuron with one input that begins far on the wrong side: under the
squared error its gradient carries the sigmoid's slope, which is nearly 0
there; under cross-entropy the slope cancels. Beside it the other losses of the
notes in numbers, and two networks that begin saturated, one for each loss.

References: Nielsen, "Neural Networks and Deep Learning", 2015, chapter 3;
Weston and Watkins, "Support Vector Machines for Multi-Class Pattern
Recognition", 1999 (the hinge loss that is summed over classes).
"""

import dataclasses
import math

import keras
import numpy as np
from keras import ops
from scipy.special import expit
from sklearn.datasets import load_digits

from dropzoo.recipes.note import Note, new_figure

INPUT, TARGET = 1.5, 0.0
STARTS = ((0.4, 0.5), (1.9, 3.0))  # weight and bias
RATE, STEPS = 0.15, 300
EARLY = 2  # epochs
LOSSES = ("squared error", "cross-entropy")


@dataclasses.dataclass(frozen=True)
class Start:
    """What a loss makes of a neuron.

    Args:
        output: Of the neuron, in (0, 1).
        loss: Of this output.
        weight_gradient: The loss's derivative by the weight.
        bias_gradient: The loss's derivative by the bias.
    """

    output: float
    loss: float
    weight_gradient: float
    bias_gradient: float


def half_squared_error(target, output):
    """Half of Keras's mean squared error, as notes have it.

    Args:
        target: `(batch, outputs)`.
        output: `(batch, outputs)`, in (0, 1).
    """
    return keras.losses.mean_squared_error(target, output) / 2


def compiled(model: keras.Model, loss: str, rate: float) -> keras.Model:
    """Compiles a model of sigmoids with plain gradient descent.

    Args:
        model: The model.
        loss: `"squared error"` or `"cross-entropy"`.
        rate: The learning rate.
    """
    functions = dict(
        zip(LOSSES, (half_squared_error, "binary_crossentropy"), strict=True)
    )
    model.compile(keras.optimizers.SGD(rate), functions[loss])
    return model


def descend(
    start: tuple[float, float], loss: str, steps: int
) -> tuple[Start, list[float]]:
    """Trains a sigmoid neuron with one input on one example.

    A step of plain gradient descent is the rate times the gradient, so that
    the first step tells it.

    Args:
        start: Weight and bias.
        loss: `"squared error"` or `"cross-entropy"`.
        steps: How many.

    Returns: What the loss makes of the start, and the output after each step.
    """
    neuron = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")]
    )
    weight, bias = start
    neuron.set_weights([np.array([[weight]]), np.array([bias])])
    compiled(neuron, loss, RATE)
    x, target = np.array([[INPUT]]), np.array([[TARGET]])
    (output,) = neuron.predict_on_batch(x)[0]
    first = float(neuron.train_on_batch(x, target))
    after = [float(v.squeeze()) for v in neuron.get_weights()]
    gradients = [(a - b) / RATE for a, b in zip(start, after, strict=True)]
    path = [start, tuple(after)]
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: path.append(
            tuple(float(v.squeeze()) for v in neuron.get_weights())
        )
    )
    if steps > 1:
        many = np.repeat(x, steps - 1, 0), np.repeat(target, steps - 1, 0)
        neuron.fit(*many, batch_size=1, verbose=0, callbacks=[watch])
    outputs = expit(np.array(path) @ (INPUT, 1)).tolist()
    return Start(float(output), first, *gradients), outputs


def bits(probability: float) -> float:
    """Cross-entropy of the true class's probability, in bits.

    Args:
        probability: In (0, 1].

    Example:
        >>> round(bits(0.98), 4)
        0.0291
    """
    return log_likelihood(probability) / math.log(2)


def log_likelihood(probability: float) -> float:
    """Keras's cross-entropy of a softmax in which the true class has this.

    Args:
        probability: In (0, 1].
    """
    rest = 1 - probability
    logits = np.log([[probability, max(rest, 1e-30)]])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return float(loss(np.array([0]), logits))


def summed_hinge(target, scores):
    """The notes' hinge loss: max(0, s_j - s_y + 1), summed over j != y.

    Keras's `CategoricalHinge` has the largest s_j only.

    Args:
        target: One-hot rows `(batch, classes)`.
        scores: `(batch, classes)`.

    Example:
        >>> float(summed_hinge([[1.0, 0, 0]], [[1.0, 2, 3]])[0])
        5.0
    """
    target = ops.convert_to_tensor(target, "float32")
    scores = ops.convert_to_tensor(scores, "float32")
    own = ops.sum(target * scores, -1, keepdims=True)
    margins = ops.maximum(scores - own + 1, 0) * (1 - target)
    return ops.sum(margins, -1)


def train_saturated(seed: int, epochs: int = 12) -> dict[str, list[float]]:
    """Trains two equal networks that begin saturated, one for each loss.

    Args:
        seed: Of the first weights and of the order.
        epochs: How many.

    Returns: For each loss the validation accuracy after each epoch.
    """
    x, y = load_digits(return_X_y=True)
    x, y = x / 16, np.eye(10)[y]
    curves = {}
    for loss in LOSSES:
        keras.utils.set_random_seed(seed)
        wide = keras.initializers.RandomNormal(stddev=1.0)
        network = keras.Sequential(
            [
                keras.Input((64,)),
                keras.layers.Dense(30, "sigmoid"),
                # All outputs begin near 1, and nine of ten are wrong.
                keras.layers.Dense(
                    10,
                    "sigmoid",
                    kernel_initializer=wide,
                    bias_initializer=keras.initializers.Constant(3.0),
                ),
            ]
        )
        compiled(network, loss, 3.0)
        network.compile(
            network.optimizer, network.loss, metrics=["categorical_accuracy"]
        )
        history = network.fit(
            x, y, 32, epochs, validation_split=0.25, verbose=0
        ).history
        curves[loss] = history["val_categorical_accuracy"]
    return curves


def note(seed: int) -> Note:
    """Computes the notes' numbers, trains the two networks, and tells.

    Args:
        seed: Of the networks.
    """
    runs = {
        (start, loss): descend(start, loss, STEPS)
        for start in STARTS
        for loss in LOSSES
    }
    curves = train_saturated(seed)
    rows = [
        (
            f"neuron, w = {weight}, b = {bias}, {loss}",
            f"output {first.output:.4f}, loss {first.loss:.4f}, "
            f"dw {first.weight_gradient:.4f}, db {first.bias_gradient:.4f}",
        )
        for ((weight, bias), loss), (first, _) in runs.items()
    ]
    rows += [
        (f"cross-entropy of {p:g}", f"{bits(p):.4f} bits")
        for p in (0.98, 0.0001)
    ]
    rows.append(("half the square of the rounded 0.7503", _rounded(0.7503)))
    rows.append(("log-likelihood of 0.098", f"{log_likelihood(0.098):.4f}"))
    rows.append(("hinge of the scores 1 (true), 2 and 3", _hinges()))
    rows += [
        (f"network, {loss}", f"{accuracies[-1]:.1%} right at the end")
        for loss, accuracies in curves.items()
    ]
    return Note(
        ("what", "value"), rows, _draw(runs, curves), _sentences(runs, curves)
    )


def _rounded(output: float) -> str:
    """The notes square the output as they print it."""
    loss = half_squared_error(np.array([[TARGET]]), np.array([[output]]))
    return f"{float(loss[0]):.4f}"


def _hinges() -> str:
    target, scores = np.array([[1.0, 0, 0]]), np.array([[1.0, 2, 3]])
    keras_own = float(keras.losses.categorical_hinge(target, scores)[0])
    summed = float(summed_hinge(target, scores)[0])
    return f"{summed:g} summed over classes, {keras_own:g} by Keras"


def _sentences(runs, curves):
    squared, entropy = LOSSES
    near, far = (runs[start, squared][0] for start in STARTS)
    strong = runs[STARTS[1], entropy][0]
    last = {loss: runs[STARTS[1], loss][1][-1] for loss in LOSSES}
    ratio = near.weight_gradient / far.weight_gradient
    return (
        f"The neuron that is further off ({far.output:.4f} instead of "
        f"{near.output:.4f}, where {TARGET:g} is right) has under the squared "
        f"error a gradient that is {ratio:.0f} times smaller "
        f"(dw {far.weight_gradient:.4f}, db {far.bias_gradient:.4f}).",
        f"Cross-entropy's x(o - y) gives it dw {strong.weight_gradient:.4f}, "
        f"and after {STEPS} steps it stands at {last[entropy]:.4f}, with the "
        f"squared error at {last[squared]:.4f}.",
        f"Two networks begin saturated: after {EARLY} epochs the one with "
        f"cross-entropy reads {curves[entropy][EARLY - 1]:.0%} of the digits, "
        f"the one with the squared error {curves[squared][EARLY - 1]:.0%}; at "
        f"the end {curves[entropy][-1]:.0%} and {curves[squared][-1]:.0%}.",
    )


def _draw(runs, curves):
    figure = new_figure(3.4)
    left, right = figure.subplots(1, 2)
    for (start, loss), (_, outputs) in runs.items():
        color = f"C{LOSSES.index(loss)}"
        line = "--" if start == STARTS[0] else "-"
        left.plot(outputs, line, color=color)
    left.set(
        xlabel="step",
        ylim=(0, 1),
        title="a neuron's output\n(dashed: the nearer start)",
    )
    for index, (loss, accuracies) in enumerate(curves.items()):
        epochs = range(1, len(accuracies) + 1)
        right.plot(epochs, accuracies, color=f"C{index}", label=loss)
    right.set(
        xlabel="epoch",
        ylim=(0, 1),
        title="two saturated networks:\ndigits read",
    )
    right.xaxis.get_major_locator().set_params(integer=True)
    right.yaxis.set_major_formatter("{x:.0%}")
    figure.legend(
        *right.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
    )
    return figure
