"""Activations: seven of them on one task, and the units that die.

The same network learns scikit-learn's digits with each activation function at
three rates. A unit is dead when its slope is below 0.01 on every training
digit: no gradient passes any more. Slopes are those that TensorFlow takes.

References: Maas et al., "Rectifier Nonlinearities Improve Neural Network
Acoustic Models", 2013 (Leaky ReLU); He et al., "Delving Deep into Rectifiers",
2015 (PReLU); Clevert et al., "Fast and Accurate Deep Network Learning by
Exponential Linear Units", 2015; Goodfellow et al., "Maxout Networks", 2013.
"""

import dataclasses
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

from dropzoo.layers import Maxout
from dropzoo.recipes.note import Note, new_figure

ACTIVATIONS: dict[str, Callable[[], layers.Layer]] = {
    "sigmoid": lambda: layers.Activation("sigmoid"),
    "tanh": lambda: layers.Activation("tanh"),
    "ReLU": layers.ReLU,
    "Leaky ReLU": layers.LeakyReLU,
    "PReLU": layers.PReLU,
    "ELU": layers.ELU,
    "Maxout": Maxout,
}
RATES = (0.03, 0.3, 2.0)
UNITS, DEPTH = 64, 3
TRAINING, EPOCHS, BATCH_SIZE = 1300, 5, 50
FLAT = 0.01  # slopes below it pass no gradient


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a training comes to.

    Args:
        accuracy: On digits that were not trained on.
        dead: Share of the hidden units that are dead.
    """

    accuracy: float
    dead: float


def build(name: str) -> keras.Model:
    """A network with hidden layers of one activation function.

    Args:
        name: One of `ACTIVATIONS`.
    """
    create = ACTIVATIONS[name]
    hidden = []
    for _ in range(DEPTH):
        pieces = 2 if name == "Maxout" else 1
        start = "glorot_uniform" if name in ("sigmoid", "tanh") else "he_normal"
        hidden += [layers.Dense(pieces * UNITS, kernel_initializer=start)]
        hidden += [create()]
    return keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)])


def slopes(network: keras.Model, x: np.ndarray) -> Iterator[np.ndarray]:
    """The slopes of each hidden layer's activations, `(batch, units)`.

    A Maxout unit has that of its largest piece.

    Args:
        network: From `build`.
        x: Inputs.
    """
    values = tf.constant(x, "float32")
    for dense, activation in zip(
        network.layers[:-1:2], network.layers[1:-1:2], strict=True
    ):
        values = dense(values)
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = activation(values)
        slope = np.abs(np.asarray(tape.gradient(outputs, values)))
        yield slope.reshape(len(x), outputs.shape[-1], -1).max(-1)
        values = outputs


def dead_share(network: keras.Model, x: np.ndarray) -> float:
    """The share of hidden units that no gradient passes on any input.

    Args:
        network: From `build`.
        x: Inputs.
    """
    shares = [
        np.mean(~(slope.max(axis=0) >= FLAT)) for slope in slopes(network, x)
    ]
    return float(np.mean(shares))


def train(name: str, seed: int) -> list[Outcome]:
    """Trains one network from the same first weights at every rate.

    Args:
        name: One of `ACTIVATIONS`.
        seed: Of the first weights and of the order.
    """
    x, y = load_digits(return_X_y=True)
    x = (x - x[:TRAINING].mean()) / x[:TRAINING].std()
    keras.utils.set_random_seed(seed)
    network = build(name)
    network.compile(
        keras.optimizers.SGD(clipnorm=1.0),  # or a high rate ends in nan
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=TRAINING // BATCH_SIZE,
    )
    first = network.get_weights()
    outcomes = []
    for rate in RATES:
        network.set_weights(first)
        network.optimizer.learning_rate = rate
        network.fit(x[:TRAINING], y[:TRAINING], BATCH_SIZE, EPOCHS, verbose=0)
        guesses = np.asarray(network(x[TRAINING:])).argmax(axis=1)
        accuracy = float(np.mean(guesses == y[TRAINING:]))
        outcomes.append(Outcome(accuracy, dead_share(network, x[:TRAINING])))
    return outcomes


def note(seed: int) -> Note:
    """Trains every network at every rate, and tells.

    Args:
        seed: Of the first weights and of the order.
    """
    found = {name: train(name, seed) for name in ACTIVATIONS}
    rows = [
        (
            name,
            *(f"{x.accuracy:.1%}, {x.dead:.1%} dead" for x in outcomes),
        )
        for name, outcomes in found.items()
    ]
    columns = ("activation", *(f">rate {rate:g}" for rate in RATES))
    return Note(columns, rows, _draw(found), _sentences(found))


def _sentences(found):
    names = list(found)
    best = {name: max(x.accuracy for x in found[name]) for name in names}
    slow = min(names, key=lambda name: found[name][0].accuracy)
    alive = [name for name in names if found[name][-1].dead == 0]
    ends = [found[name][-1].accuracy for name in alive]
    dying = {n: found[n][-1].dead for n in names if found[n][-1].dead}
    most = max(dying, key=dying.__getitem__, default=None)
    died = (
        f"at most {dying[most]:.0%} die, of {most}" if most else "no unit dies"
    )
    return (
        f"At the lowest rate {slow} has learned least, "
        f"{found[slow][0].accuracy:.0%} after {EPOCHS} epochs; at its best "
        f"rate every function reaches {min(best.values()):.0%} or more.",
        f"At the lowest rate {found['ReLU'][0].dead:.1%} of ReLU's units are "
        f"dead, at the rate {RATES[-1]:g} {found['ReLU'][-1].dead:.1%}; of all "
        f"functions {died}.",
        f"At that rate {', '.join(alive) or 'no function'} "
        f"{'has' if len(alive) < 2 else 'have'} no dead unit and "
        f"{'ends' if len(alive) < 2 else 'end'} at {_between(ends)} of the "
        f"digits, ReLU ends at {found['ReLU'][-1].accuracy:.0%}.",
    )


def _between(shares: list[float]) -> str:
    if not shares:
        return "none"
    return f"{min(shares):.0%} to {max(shares):.0%}"


def _draw(found):
    figure = new_figure(4.6)
    panels = figure.subplots(1, 2, sharey=True)
    for index, rate in enumerate(RATES):
        places = np.arange(len(found)) + 0.26 * (index - 1)
        for axes, quantity in zip(panels, ("accuracy", "dead"), strict=True):
            shares = [getattr(x[index], quantity) for x in found.values()]
            axes.barh(places, shares, 0.25, label=f"rate {rate:g}")
    panels[0].set(title="digits read", xlim=(0, 1))
    panels[1].set(title="dead units", xlim=(0, 1))
    panels[0].set_yticks(range(len(found)), list(found))
    panels[0].invert_yaxis()
    for axes in panels:
        axes.set_xticks((0, 0.5, 1))
        axes.xaxis.set_major_formatter("{x:.0%}")
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(RATES),
    )
    return figure
