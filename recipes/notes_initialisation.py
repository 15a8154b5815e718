"""Initialisation: what first weights do to activations and gradients.

A thousand inputs from N(0, 1) pass five layers of 100 units under five kinds
of first weights and three activation functions; the gradient of a random
vector comes back. N(0, 0.01) has a standard deviation of 0.01 here. At the end,
a network whose weights begin equal learns, and its units stay equal.

References: Glorot and Bengio, "Understanding the Difficulty of Training Deep
Feedforward Neural Networks", 2010; He et al., "Delving Deep into Rectifiers",
2015; Karpathy, CS231n course notes, "Neural Networks Part 2".
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import initializers

from dropzoo.callbacks.activation_probe import ActivationProbe
from dropzoo.recipes.note import Note, new_figure

INPUTS, UNITS, DEPTH = 1000, 100, 5
ACTIVATIONS = ("sigmoid", "tanh", "relu")
STARTS = ("zero", "N(0, 1)", "N(0, 0.01)", "Xavier", "He")
RANGES = {"sigmoid": (0, 1), "tanh": (-1, 1), "relu": (0, 3)}
BINS = 24
SMALL_UNITS, SMALL_STEPS = 8, 20  # of the network that begins equal


def initializer(start: str, seed: int) -> initializers.Initializer:
    """The first weights of a layer.

    Args:
        start: One of `STARTS`.
        seed: Of the draw.
    """
    draws = {
        "zero": initializers.Zeros(),
        "N(0, 1)": initializers.RandomNormal(0, 1, seed),
        "N(0, 0.01)": initializers.RandomNormal(0, 0.01, seed),
        "Xavier": initializers.GlorotNormal(seed),
        "He": initializers.HeNormal(seed),
    }
    return draws[start]


@dataclasses.dataclass(frozen=True)
class Signals:
    """What passes the layers, from the first on.

    Args:
        samples: Activations of each layer.
        spread: Standard deviation of each layer's activations.
        dead: Units of all layers that give 0 for every input; ReLU alone.
        saturated: Share of activations, where the slope is below a tenth of
            the largest; None for ReLU.
        gradients: Root mean square of the gradient at each layer's output.
    """

    samples: list[np.ndarray]
    spread: list[float]
    dead: int | None
    saturated: float | None
    gradients: list[float]


def pass_layers(start: str, activation: str, seed: int) -> Signals:
    """Sends inputs through the layers, and a gradient back.

    Args:
        start: One of `STARTS`.
        activation: One of `ACTIVATIONS`.
        seed: Of inputs, weights and gradient.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(INPUTS, UNITS)).astype("float32")
    layers = [
        keras.layers.Dense(
            UNITS,
            activation,
            kernel_initializer=initializer(start, 1000 * seed + depth),
            name=f"layer_{depth}",
        )
        for depth in range(DEPTH)
    ]
    with tf.GradientTape() as tape:
        tape.watch(tensor := tf.constant(x))
        outputs = [tensor]
        for layer in layers:
            outputs.append(layer(outputs[-1]))
    back = rng.normal(size=x.shape).astype("float32")
    gradients = tape.gradient(outputs[-1], outputs[1:], back)
    found = ActivationProbe(keras.Sequential([keras.Input((UNITS,)), *layers]))(
        x
    )
    return Signals(
        [np.asarray(values["sample"]) for values in found.values()],
        [float(np.std(output)) for output in outputs[1:]],
        _dead(found),
        _saturated(found),
        [float(np.sqrt(np.mean(np.square(g)))) for g in gradients],
    )


def _dead(found):
    shares = [float(v["dead"]) for v in found.values() if "dead" in v]
    return round(UNITS * sum(shares)) if shares else None


def _saturated(found):
    shares = [float(v["saturated"]) for v in found.values() if "saturated" in v]
    return float(np.mean(shares)) if shares else None


def distinct_units(start: initializers.Initializer, seed: int) -> int:
    """Trains eight units, and counts how many differ at the end.

    Args:
        start: Of the first weights of both layers.
        seed: Of the examples.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(64, 4))
    network = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(SMALL_UNITS, "tanh", kernel_initializer=start),
            keras.layers.Dense(1, kernel_initializer=start),
        ]
    )
    network.compile(keras.optimizers.SGD(0.1), "mse")
    steps = (
        np.tile(x, (SMALL_STEPS, 1)),
        np.tile(x[:, :1] ** 2, (SMALL_STEPS, 1)),
    )
    network.fit(*steps, batch_size=len(x), shuffle=False, verbose=0)
    return len(np.unique(network.get_weights()[0].round(6), axis=1).T)


def note(seed: int) -> Note:
    """Sends inputs through all networks, and tells.

    Args:
        seed: Of inputs, weights and gradients.
    """
    found = {
        (start, activation): pass_layers(start, activation, seed)
        for activation in ACTIVATIONS
        for start in STARTS
    }
    units = {
        "equal": distinct_units(initializers.Constant(0.1), seed),
        "random": distinct_units(initializers.GlorotNormal(seed), seed),
    }
    rows = [
        (
            activation,
            start,
            f"{signals.spread[0]:.2g}, {signals.spread[-1]:.2g}",
            "" if signals.dead is None else f"{signals.dead}",
            "" if signals.saturated is None else f"{signals.saturated:.1%}",
            f"{signals.gradients[0]:.2g}",
        )
        for (start, activation), signals in found.items()
    ]
    columns = (
        "activation",
        "weights",
        ">spread, layers 1 and 5",
        f">dead of {DEPTH * UNITS}",
        ">saturated",
        ">gradient, layer 1",
    )
    return Note(columns, rows, _draw(found), _sentences(found, units))


def _sentences(found, units):
    wide = {a: found["N(0, 1)", a] for a in ACTIVATIONS}
    he, xavier = found["He", "relu"], found["Xavier", "relu"]
    tanh = {start: found[start, "tanh"].spread[-1] for start in STARTS}
    lost = found["N(0, 0.01)", "tanh"].gradients[0]
    kept = found["Xavier", "tanh"].gradients[0]
    return (
        f"Under N(0, 1), {wide['sigmoid'].saturated:.0%} of the sigmoid's and "
        f"{wide['tanh'].saturated:.0%} of tanh's values are saturated, and "
        f"ReLU's spread grows to {wide['relu'].spread[-1]:,.0f}; under "
        f"N(0, 0.01) tanh's shrinks to {tanh['N(0, 0.01)']:.1g} by layer "
        f"{DEPTH}, under Xavier it is {tanh['Xavier']:.2f}.",
        f"ReLU's spread in layer {DEPTH} is {he.spread[-1]:.2f} under He and "
        f"{xavier.spread[-1]:.2f} under Xavier; under zero "
        f"{found['zero', 'relu'].dead} of its {DEPTH * UNITS} units are dead.",
        f"Tanh's gradient comes back to layer 1 with {kept:.2g} of its size "
        f"under Xavier and with {lost:.1g} under N(0, 0.01); and where weights "
        f"begin equal, {SMALL_UNITS} units learn to be {units['equal']}, "
        f"instead of {units['random']}.",
    )


def _draw(found):
    figure = new_figure(6.6)
    grid = figure.add_gridspec(4, 15, height_ratios=(1, 1, 1, 1.5))
    for row, activation in enumerate(ACTIVATIONS):
        for column, start in enumerate(STARTS):
            place = grid[row, 3 * column : 3 * column + 3]
            axes = figure.add_subplot(place)
            _draw_histograms(axes, found[start, activation], activation)
            if row == 0:
                axes.set_title(start)
            if column == 0:
                axes.set_ylabel(activation.replace("relu", "ReLU"))
    for column, activation in enumerate(ACTIVATIONS):
        axes = figure.add_subplot(grid[3, 5 * column : 5 * column + 5])
        for start in STARTS:
            sizes = found[start, activation].gradients
            axes.semilogy(range(1, DEPTH + 1), sizes, ".-", label=start)
        axes.set(ylim=(1e-10, 1e4), xlabel="layer", xticks=range(1, DEPTH + 1))
        axes.set_title(f"gradient, {activation.replace('relu', 'ReLU')}")
        if column:
            axes.set_yticklabels([])
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(STARTS),
        columnspacing=0.8,
    )
    return figure


def _draw_histograms(axes, signals, activation):
    """A histogram for each layer, the first on top; the far ends pile up."""
    low, high = RANGES[activation]
    edges = np.linspace(low, high, BINS + 1)
    for depth, sample in enumerate(signals.samples):
        counts, _ = np.histogram(np.clip(sample, low, high), edges)
        floor = DEPTH - depth
        axes.stairs(
            floor + 0.9 * counts / counts.max(),
            edges,
            baseline=floor,
            fill=True,
            color=f"{0.15 + 0.13 * depth:.2f}",  # greys: layers, not starts
        )
    axes.set(xlim=(low, high), xticks=(low, high), yticks=())
    axes.spines["left"].set_visible(False)
