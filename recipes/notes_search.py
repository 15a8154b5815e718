"""Search: coarse, then fine, and at random rather than on a grid.

A network of two layers with 50 hidden units learns digits of 0 to 255, their
mean image taken off. KerasTuner tries strengths of regularisation in 10^U(-5,
5) and rates in 10^U(-6, -3), five epochs each; the best third of the trials
says where the finer search looks. A grid gets as many trials as the coarse
search.

References: Bergstra and Bengio, "Random Search for Hyper-Parameter
Optimization", 2012; Karpathy, CS231n course notes, "Neural Networks Part 3",
section "Hyperparameter optimization".
"""

import contextlib
import dataclasses
import tempfile
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

from dropzoo.recipes.note import Note, new_figure

COARSE = {"strength": (-5.0, 5.0), "rate": (-6.0, -3.0)}  # powers of ten
GRID = {"strength": 5, "rate": 4}
TRIALS = 20
UNITS, EPOCHS, BATCH_SIZE, TRAINING = 50, 5, 25, 1300
STEPS = TRAINING // BATCH_SIZE
Ranges = dict[str, tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training of a search.

    Args:
        strength: Of the L2 penalty.
        rate: Learning rate.
        accuracy: On validation digits.
    """

    strength: float
    rate: float
    accuracy: float


class SharedL2(keras.regularizers.Regularizer):
    """An L2 penalty whose strength may change after compilation.

    Args:
        strength: A variable.
    """

    def __init__(self, strength: keras.Variable):
        self.strength = strength

    def __call__(self, x):
        return self.strength * keras.ops.sum(keras.ops.square(x))


class TwoLayers:
    """A network that is compiled once, and trained for every trial anew.

    Args:
        seed: Of the first weights and of the order.
    """

    def __init__(self, seed: int):
        x, y = load_digits(return_X_y=True)
        x = x * (255 / 16)
        x -= x[:TRAINING].mean(axis=0)
        self.training = x[:TRAINING], y[:TRAINING]
        self.validation = x[TRAINING:], y[TRAINING:]
        self.strength = keras.Variable(0.0, trainable=False)
        keras.utils.set_random_seed(seed)
        self.network = self._build(seed)
        self.first = self.network.get_weights()

    def _build(self, seed):
        stack = [
            layers.Dense(
                units,
                activation,
                kernel_initializer=keras.initializers.RandomNormal(
                    stddev=0.01, seed=seed + units
                ),
                kernel_regularizer=SharedL2(self.strength),
            )
            for units, activation in ((UNITS, "relu"), (10, None))
        ]
        network = keras.Sequential([keras.Input((64,)), *stack])
        network.compile(
            keras.optimizers.SGD(),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            steps_per_execution=STEPS,
        )
        return network

    def accuracy(self, strength: float, rate: float) -> float:
        """Trains from the first weights.

        Args:
            strength: Of the L2 penalty.
            rate: Learning rate.

        Returns: The accuracy on validation digits.
        """
        self.network.set_weights(self.first)
        self.strength.assign(strength)
        self.network.optimizer.learning_rate = rate
        self.network.fit(
            *self.training, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0
        )
        x, y = self.validation
        return float(np.mean(np.asarray(self.network(x)).argmax(1) == y))


class RandomTrials(keras_tuner.RandomSearch):
    """KerasTuner's random search of what `TwoLayers` reaches."""

    two_layers: TwoLayers

    def run_trial(
        self, trial: Any, *args: Any, **kwargs: Any
    ) -> dict[str, float]:
        """Trains with the values of a trial; KerasTuner calls it."""
        values = trial.hyperparameters.values
        return {"val_accuracy": self.two_layers.accuracy(**values)}


class GridTrials(keras_tuner.GridSearch):
    """KerasTuner's grid search of what `TwoLayers` reaches."""

    two_layers: TwoLayers
    run_trial = RandomTrials.run_trial


def random_space(ranges: Ranges) -> keras_tuner.HyperParameters:
    """Values whose logarithms are uniform.

    Args:
        ranges: Powers of ten by name.
    """
    space = keras_tuner.HyperParameters()
    for name, (low, high) in ranges.items():
        space.Float(name, 10.0**low, 10.0**high, sampling="log")
    return space


def grid_space(ranges: Ranges) -> keras_tuner.HyperParameters:
    """Values at equal distances of their logarithms.

    Args:
        ranges: Powers of ten by name.
    """
    space = keras_tuner.HyperParameters()
    for name, (low, high) in ranges.items():
        space.Choice(name, np.logspace(low, high, GRID[name]).tolist())
    return space


def search(
    kind: type[keras_tuner.Tuner],
    space: keras_tuner.HyperParameters,
    two_layers: TwoLayers,
    seed: int,
    trials: int = TRIALS,
) -> list[Trial]:
    """Runs a search, whose files do not outlive it.

    Args:
        kind: `RandomTrials` or `GridTrials`.
        space: What to choose from.
        two_layers: What is trained.
        seed: Of the choices.
        trials: How many.
    """
    with tempfile.TemporaryDirectory() as folder:
        tuner = kind(
            objective=keras_tuner.Objective("val_accuracy", "max"),
            max_trials=trials,
            seed=seed,
            hyperparameters=space,
            directory=folder,
        )
        tuner.two_layers = two_layers
        with contextlib.redirect_stdout(None):
            tuner.search(verbose=0)
        return [
            Trial(**trial.hyperparameters.values, accuracy=trial.score)
            for trial in tuner.oracle.trials.values()
        ]


def refined(trials: list[Trial]) -> Ranges:
    """The powers of ten between which the best third of some trials lies.

    Args:
        trials: Of a search.
    """
    best = sorted(trials, key=lambda x: x.accuracy)[-(len(trials) // 3) :]
    ranges = {}
    for name in COARSE:
        powers = np.log10([getattr(trial, name) for trial in best])
        ranges[name] = float(powers.min()), float(powers.max())
    return ranges


def note(seed: int) -> Note:
    """Searches three times, and tells.

    Args:
        seed: Of the choices, the first weights and the order.
    """
    two_layers = TwoLayers(seed)
    coarse = search(RandomTrials, random_space(COARSE), two_layers, seed)
    ranges = refined(coarse)
    found = {
        "coarse, random": coarse,
        "grid": search(GridTrials, grid_space(COARSE), two_layers, seed),
        "fine, random": search(
            RandomTrials, random_space(ranges), two_layers, seed + 1
        ),
    }
    columns = (
        f"search of {TRIALS}",
        ">best",
        ">median",
        ">best strength",
        ">best rate",
        ">rates tried",
    )
    rows = [_row(name, trials) for name, trials in found.items()]
    return Note(columns, rows, _draw(found, ranges), _sentences(found, ranges))


def _row(name, trials):
    best = max(trials, key=lambda trial: trial.accuracy)
    middle = np.median([trial.accuracy for trial in trials])
    return (
        name,
        f"{best.accuracy:.1%}",
        f"{middle:.1%}",
        f"{best.strength:.1e}",
        f"{best.rate:.1e}",
        f"{len({trial.rate for trial in trials})}",
    )


def _sentences(found, ranges):
    best = {n: max(t.accuracy for t in ts) for n, ts in found.items()}
    middle = {
        name: float(np.median([trial.accuracy for trial in trials]))
        for name, trials in found.items()
    }
    rates = {n: len({t.rate for t in ts}) for n, ts in found.items()}
    (low, high), (slow, fast) = ranges["strength"], ranges["rate"]
    return (
        f"The coarse search's best third lies at strengths of 10^{low:.1f} to "
        f"10^{high:.1f} and rates of 10^{slow:.1f} to 10^{fast:.1f}, on "
        f"{_share(ranges):.0%} of the area searched.",
        f"There half of the trials reach {middle['fine, random']:.0%} or more, "
        f"where half of the coarse ones reach {middle['coarse, random']:.0%}; "
        f"the best goes from {best['coarse, random']:.1%} to "
        f"{best['fine, random']:.1%}.",
        f"With {TRIALS} trials each, random search tries "
        f"{rates['coarse, random']} rates and comes to "
        f"{best['coarse, random']:.1%}, the grid tries {rates['grid']} and "
        f"comes to {best['grid']:.1%}.",
    )


def _share(ranges: Ranges) -> float:
    """The part of the coarse search's area that a finer one looks at."""
    parts = [np.ptp(ranges[name]) / np.ptp(COARSE[name]) for name in COARSE]
    return float(np.prod(parts))


def _draw(found, ranges):
    figure = new_figure(4.4)
    axes = figure.add_subplot()
    for marker, (name, trials) in zip("os^", found.items(), strict=True):
        shown = axes.scatter(
            [trial.rate for trial in trials],
            [trial.strength for trial in trials],
            c=[trial.accuracy for trial in trials],
            marker=marker,
            s=60,
            vmin=0,
            vmax=1,
            edgecolors="0.3",
            label=name,
        )
    low, high = (
        10 ** np.array(ends)
        for ends in zip(ranges["rate"], ranges["strength"], strict=True)
    )
    corners = [low[0], high[0], high[0], low[0], low[0]]
    sides = [low[1], low[1], high[1], high[1], low[1]]
    axes.plot(corners, sides, color="tab:red", label="finer search")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="learning rate",
        ylabel="strength of regularisation",
    )
    figure.colorbar(shown, format="{x:.0%}", label="validation accuracy")
    figure.legend(loc="outside upper center", ncols=4, columnspacing=0.8)
    return figure
