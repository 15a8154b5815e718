"""Babysitting: what to look at before and while a network learns.

In the order of the notes: the first loss is ln C, and rises with the penalty;
twenty examples are learned by heart; then one rate that is too low, one that
is too high, and one between them, each watched by `UpdateRatioMonitor` and
`CurveDiagnosis`.

Reference: Karpathy, CS231n course notes, "Neural Networks Part 3", sections
"Sanity checks" and "Babysitting the learning process".
"""

import dataclasses

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

from dropzoo.callbacks import (
    CurveDiagnosis,
    UpdateRatioMonitor,
    sanity_failures,
)
from dropzoo.recipes.note import Note, new_figure

TRAINING, EPOCHS, BATCH_SIZE = 1300, 10, 50
STRENGTHS = (0.0, 0.1, 1.0, 10.0)  # of the L2 penalty
TINY, TINY_STEPS = 20, 150
RATES = {"too low": 1e-5, "right": 0.03, "too high": 3.0}
HEALTHY = 1e-3  # of weights, a step
EVERY, EARLY = 13, 6  # updates; measurements in the first epochs


@dataclasses.dataclass(frozen=True)
class Watched:
    """What the monitors saw of a training.

    Args:
        losses: Training loss after each epoch.
        accuracy: On validation digits, at the end.
        steps: When updates were measured.
        ratios: Median over layers of |update| / |weights| at each.
        finding: What the curve shows.
    """

    losses: list[float]
    accuracy: float
    steps: list[int]
    ratios: list[float]
    finding: str

    @property
    def early_ratio(self) -> float:
        """The ratio in the first epochs, while the network learns most."""
        return float(np.median(self.ratios[:EARLY]))


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's digits as z-scores, and their labels."""
    x, y = load_digits(return_X_y=True)
    return (x - x[:TRAINING].mean()) / x[:TRAINING].std(), y


def build(strength: float = 0.0, spread: float | None = None) -> keras.Model:
    """A network with two hidden layers.

    Args:
        strength: Of the L2 penalty on all kernels.
        spread: Standard deviation of the first weights. None is He's.
    """
    start = (
        "he_normal"
        if spread is None
        else keras.initializers.RandomNormal(stddev=spread, seed=1)
    )
    stack = [
        layers.Dense(
            units,
            activation,
            kernel_initializer=start,
            kernel_regularizer=keras.regularizers.L2(strength),
        )
        for units, activation in ((50, "relu"), (10, None))
    ]
    return keras.Sequential([keras.Input((64,)), *stack])


def first_loss(strength: float) -> float:
    """The loss of a network with small weights, its penalty among it.

    Args:
        strength: Of the L2 penalty.
    """
    network = build(strength, spread=0.01)
    x, y = digits()
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return float(entropy(y, network(x))) + float(sum(network.losses))


def compiled(network: keras.Model, rate: float) -> keras.Model:
    """Compiles a network with plain gradient descent.

    Args:
        network: From `build`.
        rate: Learning rate.
    """
    network.compile(
        keras.optimizers.SGD(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return network


def learn_by_heart(seed: int) -> tuple[list[float], float]:
    """Trains on twenty digits alone, without a penalty.

    Args:
        seed: Of the first weights.

    Returns: The loss after each step, and the accuracy on them at the end.
    """
    x, y = digits()
    keras.utils.set_random_seed(seed)
    network = compiled(build(), RATES["right"])
    steps = np.tile(x[:TINY], (TINY_STEPS, 1)), np.tile(y[:TINY], TINY_STEPS)
    means: list[float] = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: means.append(logs["loss"])
    )
    network.fit(
        *steps, batch_size=TINY, shuffle=False, verbose=0, callbacks=[watch]
    )
    # Keras tells the mean over the epoch so far.
    losses = np.diff(np.cumsum(np.ones(TINY_STEPS)) * means, prepend=0)
    guesses = np.asarray(network(x[:TINY])).argmax(axis=1)
    return losses.tolist(), float(np.mean(guesses == y[:TINY]))


def watch(rate: float, seed: int) -> Watched:
    """Trains on all digits, with the kit's monitors.

    Args:
        rate: Learning rate.
        seed: Of the first weights and of the order.
    """
    x, y = digits()
    keras.utils.set_random_seed(seed)
    network = compiled(build(), rate)
    monitor = UpdateRatioMonitor(EVERY)
    diagnosis = CurveDiagnosis(say=lambda sentence: None)
    history = network.fit(
        x[:TRAINING],
        y[:TRAINING],
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=(x[TRAINING:], y[TRAINING:]),
        callbacks=[monitor, diagnosis],
        verbose=0,
    ).history
    return Watched(
        history["loss"],
        history["val_accuracy"][-1],
        [record["step"] for record in monitor.history],
        [
            float(np.median(list(record["update_ratio"].values())))
            for record in monitor.history
        ],
        diagnosis.finding.fault if diagnosis.finding else "",
    )


def note(seed: int) -> Note:
    """Looks at everything in turn, and tells.

    Args:
        seed: Of the first weights and of the order.
    """
    firsts = {strength: first_loss(strength) for strength in STRENGTHS}
    tiny, tiny_accuracy = learn_by_heart(seed)
    x, y = digits()
    failures = sanity_failures(compiled(build(), 0.1), x, y)
    found = {name: watch(rate, seed) for name, rate in RATES.items()}
    rows = [
        (f"first loss, penalty {strength:g}", f"{loss:.4f}")
        for strength, loss in firsts.items()
    ]
    rows.append((f"{TINY} digits by heart", f"{tiny_accuracy:.0%} right"))
    rows.append(("sanity check", f"{len(failures)} failures"))
    rows += [
        (
            f"rate {RATES[name]:g}",
            f"loss {seen.losses[-1]:.3g}, {seen.accuracy:.1%} right, update "
            f"{seen.early_ratio:.1e} of the weights: {seen.finding}",
        )
        for name, seen in found.items()
    ]
    words = _sentences(firsts, tiny, tiny_accuracy, found)
    return Note(("what", "value"), rows, _draw(firsts, tiny, found), words)


def _sentences(firsts, tiny, tiny_accuracy, found):
    strongest = STRENGTHS[-1]
    low, right, high = (found[name] for name in RATES)
    return (
        f"A network that knows nothing of ten classes begins at "
        f"{firsts[0.0]:.4f}, ln 10 being {np.log(10):.4f}, and at "
        f"{firsts[strongest]:.2f} with a penalty of {strongest:g}; it learns "
        f"{TINY} digits by heart down to a loss of {tiny[-1]:.3f}, "
        f"{tiny_accuracy:.0%} of them right.",
        f"At the rate {RATES['too low']:g} the loss hardly moves, from "
        f"{low.losses[0]:.2f} to {low.losses[-1]:.2f} ({low.finding}); at "
        f"{RATES['too high']:g} it ends at {high.losses[-1]:.3g} "
        f"({high.finding}); at {RATES['right']:g} at {right.losses[-1]:.2f} "
        f"({right.finding}), with {right.accuracy:.0%} of new digits right.",
        f"In the first epochs an update moves the weights by "
        f"{right.early_ratio:.1e} of their length at the rate "
        f"{RATES['right']:g}, where {HEALTHY:g} is the rule of thumb, by "
        f"{low.early_ratio:.1e} at the low rate and by {high.early_ratio:.1e} "
        "at the high one.",
    )


def _draw(firsts, tiny, found):
    figure = new_figure(5.0)
    (first, heart), (curves, updates) = figure.subplots(2, 2)
    places = range(len(firsts))
    first.bar(places, firsts.values(), color="0.6")
    first.axhline(np.log(10), color="tab:red", linestyle=":", label="ln 10")
    first.set_xticks(places, [f"{strength:g}" for strength in firsts])
    first.set(title="first loss", xlabel="penalty")
    first.legend()
    heart.plot(range(1, len(tiny) + 1), tiny, color="0.3")
    heart.set(
        title=f"{TINY} digits by heart: loss", xlabel="step", ylim=(0, None)
    )
    for name, seen in found.items():
        epochs = range(1, len(seen.losses) + 1)
        curves.semilogy(epochs, seen.losses, label=f"{RATES[name]:g}, {name}")
        updates.semilogy(seen.steps, seen.ratios)
    curves.set(title="loss", xlabel="epoch", ylim=(0.1, 10))
    updates.axhline(HEALTHY, color="0.6", linestyle=":")
    updates.set(title="update / weights", xlabel="step")
    figure.legend(
        *curves.get_legend_handles_labels(),
        loc="outside lower center",
        title="rate",
        ncols=3,
    )
    return figure
