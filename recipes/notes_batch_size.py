"""Epochs and batch size: time, memory, noise, and when to stop.

One network learns a thousand digits in batches of 1 up to all of them, at one
rate and for as many epochs. Then it learns a few of them for too long, and
Keras's `EarlyStopping` looks at the curve and says where it would have ended.
Times are those of this machine and differ from run to run.

References: Bottou, "Stochastic Gradient Descent Tricks", 2012; LeCun et al.,
"Efficient BackProp", 1998, section 4.1; Prechelt, "Early Stopping - But When?",
1998.
"""

import dataclasses
import time
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

from dropzoo.recipes.note import Note, new_figure

TRAINING = 1000
BATCH_SIZES = (1, 10, 50, 200, TRAINING)
UNITS, EPOCHS, RATE = 64, 4, 0.05
DRAWS = 20  # batches whose gradients are compared
FEW, MANY_EPOCHS, PATIENCE = 100, 80, 10


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a batch size comes to.

    Args:
        seconds: Of an epoch; the shortest, without the first.
        kilobytes: Of inputs and activations that a step holds.
        noise: How far a batch's gradient is from that of all examples, as a
            share of the latter's length.
        val_losses: After each epoch.
    """

    seconds: float
    kilobytes: float
    noise: float
    val_losses: list[float]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's digits as z-scores, and their labels."""
    x, y = load_digits(return_X_y=True)
    x = (x - x[:TRAINING].mean()) / x[:TRAINING].std()
    return x.astype("float32"), y


def build(seed: int) -> keras.Model:
    """A network with one hidden layer, compiled.

    Args:
        seed: Of the first weights.
    """
    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(UNITS, "relu"),
            layers.Dense(10),
        ]
    )
    network.compile(
        keras.optimizers.SGD(RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return network


def gradient(network: keras.Model, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient of a batch's loss by all weights, in a row.

    Args:
        network: From `build`.
        x: Inputs.
        y: Labels.
    """
    with tf.GradientTape() as tape:
        loss = network.loss(y, network(x))
    parts = tape.gradient(loss, [v.value for v in network.trainable_variables])
    return np.concatenate([np.asarray(part).ravel() for part in parts])


def noise(network: keras.Model, batch_size: int, seed: int) -> float:
    """The root mean square distance of batches' gradients from the whole one.

    Args:
        network: From `build`.
        batch_size: Examples drawn without replacement.
        seed: Of the draws.

    Returns: As a share of the whole gradient's length.
    """
    x, y = digits()
    whole = gradient(network, x[:TRAINING], y[:TRAINING])
    rng = np.random.default_rng(seed)
    distances = []
    for _ in range(DRAWS):
        batch = rng.choice(TRAINING, batch_size, replace=False)
        part = gradient(network, x[batch], y[batch])
        distances.append(np.square(part - whole).sum())
    return float(np.sqrt(np.mean(distances)) / np.linalg.norm(whole))


def held_kilobytes(network: keras.Model, batch_size: int) -> float:
    """Size of the inputs and of each layer's outputs, in float32.

    Args:
        network: From `build`.
        batch_size: Examples of a step.
    """
    widths = [64, *(layer.units for layer in network.layers)]
    return 4 * batch_size * sum(widths) / 1000


def train(batch_size: int, seed: int) -> Outcome:
    """Trains on a thousand digits.

    Args:
        batch_size: Examples of a step.
        seed: Of the first weights and of the order.
    """
    x, y = digits()
    network = build(seed)
    first_noise = noise(network, batch_size, seed)
    ticks = [time.perf_counter()]
    clock = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ticks.append(time.perf_counter())
    )
    history = network.fit(
        x[:TRAINING],
        y[:TRAINING],
        batch_size=batch_size,
        epochs=EPOCHS,
        validation_data=(x[TRAINING:], y[TRAINING:]),
        validation_batch_size=len(x) - TRAINING,
        callbacks=[clock],
        verbose=0,
    ).history
    return Outcome(
        float(np.diff(ticks)[1:].min()),
        held_kilobytes(network, batch_size),
        first_noise,
        history["val_loss"],
    )


def train_too_long(seed: int) -> tuple[list[float], list[float]]:
    """Trains on a few digits for many epochs.

    Args:
        seed: Of the first weights and of the order.

    Returns: Training and validation losses after each epoch.
    """
    x, y = digits()
    network = build(seed)
    network.optimizer.learning_rate = 0.3
    history = network.fit(
        x[:FEW],
        y[:FEW],
        batch_size=10,
        epochs=MANY_EPOCHS,
        validation_data=(x[TRAINING:], y[TRAINING:]),
        validation_batch_size=len(x) - TRAINING,
        verbose=0,
    ).history
    return history["loss"], history["val_loss"]


def early_stop(val_losses: Sequence[float]) -> tuple[int, int]:
    """Shows Keras's `EarlyStopping` a curve.

    Args:
        val_losses: After each epoch.

    Returns: The epoch with the lowest loss so far, and the one behind which it
        ends the training, both counted from 1.

    Example:
        >>> early_stop([3.0, 2.0, *[2.5] * 20])
        (2, 12)
    """
    stop = keras.callbacks.EarlyStopping("val_loss", 0, PATIENCE, mode="min")
    stop.set_model(keras.Sequential())
    stop.on_train_begin()
    for epoch, loss in enumerate(val_losses):
        stop.on_epoch_end(epoch, {"val_loss": loss})
        if stop.stopped_epoch:
            return stop.best_epoch + 1, stop.stopped_epoch + 1
    return stop.best_epoch + 1, len(val_losses)


def note(seed: int) -> Note:
    """Trains with every batch size, then for too long, and tells.

    Args:
        seed: Of the first weights, the order and the batches.
    """
    found = {size: train(size, seed) for size in BATCH_SIZES}
    curves = train_too_long(seed)
    rows: list[tuple[str, ...]] = [
        (
            f"{size}",
            f"{x.seconds:.3f} s",
            f"{x.kilobytes:.1f} kB",
            f"{x.noise:.2f}",
            f"{x.val_losses[-1]:.3f}",
        )
        for size, x in found.items()
    ]
    best, stopped = early_stop(curves[1])
    rows += [
        (f"{FEW} digits, {name}", "", "", "", f"{curves[1][epoch - 1]:.3f}")
        for name, epoch in (
            (f"epoch {best}, the best so far", best),
            (f"epoch {stopped}, stopped", stopped),
            (f"epoch {MANY_EPOCHS}", MANY_EPOCHS),
        )
    ]
    columns = (
        "batch size",
        ">an epoch",
        ">held by a step",
        ">noise of gradient",
        ">validation loss",
    )
    return Note(columns, rows, _draw(found, curves), _sentences(found, curves))


def _sentences(found, curves):
    one, whole = found[1], found[TRAINING]
    last = {size: x.val_losses[-1] for size, x in found.items()}
    lowest = min(last, key=last.__getitem__)
    best, stopped = early_stop(curves[1])
    return (
        f"An epoch in batches of 1 takes {one.seconds / whole.seconds:.0f} "
        f"times as long as one in a single batch of {TRAINING}, which holds "
        f"{whole.kilobytes / one.kilobytes:.0f} times the values.",
        f"A single example's gradient is {one.noise:.1f} times its length off, "
        f"one of {BATCH_SIZES[2]} {found[BATCH_SIZES[2]].noise:.2f} times; "
        f"after {EPOCHS} epochs batches of {lowest} have the lowest validation "
        f"loss, {last[lowest]:.2f}, and the whole set, which made {EPOCHS} "
        f"steps, {last[TRAINING]:.2f}.",
        f"On {FEW} digits early stopping ends after epoch {stopped} and keeps "
        f"epoch {best}, at a validation loss of {curves[1][best - 1]:.2f}; "
        f"after {MANY_EPOCHS} epochs it is {curves[1][-1]:.2f}, while the "
        f"training loss went from {curves[0][best - 1]:.2f} to "
        f"{curves[0][-1]:.3f}.",
    )


def _draw(found, curves):
    figure = new_figure(5.0)
    (seconds, noises), (losses, long) = figure.subplots(2, 2)
    sizes = list(found)
    seconds.loglog(sizes, [x.seconds for x in found.values()], "o-")
    seconds.set(title="seconds of an epoch", xlabel="batch size")
    some = sizes[:-1]  # the whole set has no noise
    noises.loglog(some, [found[size].noise for size in some], "o-")
    ideal = found[1].noise / np.sqrt(some)
    noises.loglog(some, ideal, ":", color="0.5", label="1 / √batch size")
    noises.set(
        title="noise of the gradient", xlabel="batch size", ylim=(0.1, 10)
    )
    noises.legend()
    for size, x in found.items():
        losses.plot(range(1, EPOCHS + 1), x.val_losses, label=f"{size}")
    losses.set(title="validation loss", xlabel="epoch", ylim=(0, 2.5))
    losses.set_xticks(range(1, EPOCHS + 1))
    figure.legend(
        *losses.get_legend_handles_labels(),
        loc="outside lower center",
        title="batch size",
        ncols=len(found),
    )
    _draw_too_long(long, curves)
    return figure


def _draw_too_long(axes, curves):
    _, stopped = early_stop(curves[1])
    for name, curve in zip(("training", "validation"), curves, strict=True):
        axes.plot(range(1, MANY_EPOCHS + 1), curve, label=name)
    axes.axvline(stopped, color="0.5", linestyle=":", label="early stop")
    axes.set(
        title=f"loss, {FEW} digits for too long",
        xlabel="epoch",
        ylim=(0, 2 * min(curves[1])),
    )
    axes.legend()
