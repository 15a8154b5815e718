"""Regularisation: eight ways on one task that is learned by heart.

A hundred digits, a tenth of them with a wrong label, and a network with more
than a hundred weights for each: without regularisation its validation loss
soon rises. Losses are shown without penalties, so that they compare.

References: Srivastava et al., "Dropout: A Simple Way to Prevent Neural
Networks from Overfitting", 2014, section 10 (plain and inverted); Zou and
Hastie, "Regularization and Variable Selection via the Elastic Net", 2005;
Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", 1995;
Prechelt, "Early Stopping - But When?", 1998.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import layers, regularizers
from sklearn.datasets import load_digits

from dropzoo.recipes.note import Note, new_figure

TRAINING, VALIDATION, WRONG = 100, 600, 10  # digits
UNITS, EPOCHS, PATIENCE = 128, 30, 5
BATCH_SIZE, NEAR_ZERO = 25, 1e-3
RATE = 0.5  # of dropout


@dataclasses.dataclass(frozen=True)
class Variant:
    """A way to regularise a network.

    Args:
        penalty: Makes the penalty on kernels; None for none.
        inserted: Makes a layer behind each hidden one; None for none.
        patience: Epochs without progress after which training ends.
    """

    penalty: Callable[[], regularizers.Regularizer] | None = None
    inserted: Callable[[], layers.Layer] | None = None
    patience: int | None = None


VARIANTS = {
    "nothing": Variant(),
    "L1": Variant(penalty=lambda: regularizers.L1(0.001)),
    "L2": Variant(penalty=lambda: regularizers.L2(0.01)),
    "elastic net": Variant(penalty=lambda: regularizers.L1L2(0.0005, 0.005)),
    "dropout": Variant(inserted=lambda: layers.Dropout(RATE)),
    "noise": Variant(inserted=lambda: layers.GaussianNoise(1.0)),
    "batch norm": Variant(inserted=layers.BatchNormalization),
    "early stop": Variant(patience=PATIENCE),
}
PENALTIES = ("nothing", "L1", "L2", "elastic net")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a training comes to.

    Args:
        losses: Cross-entropy after each epoch, of the training digits.
        val_losses: The same of the others.
        accuracy: Of the others, at the end.
        kernel: Weights of the first layer, at the end.
    """

    losses: list[float]
    val_losses: list[float]
    accuracy: float
    kernel: np.ndarray


def build(variant: Variant) -> keras.Model:
    """A network with two hidden layers.

    Args:
        variant: How it is regularised.
    """
    hidden = []
    for _ in range(2):
        penalty = variant.penalty() if variant.penalty else None
        hidden.append(layers.Dense(UNITS, kernel_regularizer=penalty))
        hidden.append(layers.ReLU())
        if variant.inserted:
            hidden.append(variant.inserted())
    return keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)])


def digits(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits as z-scores; the first have some wrong labels.

    Args:
        seed: Of their order.
    """
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order[: TRAINING + VALIDATION]], y[order[: TRAINING + VALIDATION]]
    y[:WRONG] = (y[:WRONG] + 1) % 10
    return (x - x[:TRAINING].mean()) / x[:TRAINING].std(), y


def compiled(variant: Variant) -> keras.Model:
    """The network, which tells its cross-entropy without the penalty as well.

    Args:
        variant: How it is regularised.
    """
    network = build(variant)
    entropy = keras.metrics.SparseCategoricalCrossentropy(
        name="entropy", from_logits=True
    )
    network.compile(
        keras.optimizers.Adam(0.005),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[entropy, "accuracy"],
        steps_per_execution=TRAINING // BATCH_SIZE,
    )
    return network


def train(variant: Variant, seed: int, epochs: int = EPOCHS) -> Outcome:
    """Trains a network.

    Args:
        variant: How it is regularised.
        seed: Of digits, first weights, order and noise.
        epochs: The most.
    """
    x, y = digits(seed)
    keras.utils.set_random_seed(seed)
    network = compiled(variant)
    stops = _early_stopping(variant)
    history = network.fit(
        x[:TRAINING],
        y[:TRAINING],
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_data=(x[TRAINING:], y[TRAINING:]),
        validation_batch_size=VALIDATION,
        callbacks=stops,
        verbose=0,
    ).history
    kept = int(np.argmin(history["val_entropy"])) if stops else -1
    return Outcome(
        history["entropy"],
        history["val_entropy"],
        history["val_accuracy"][kept],
        network.get_weights()[0],
    )


def _early_stopping(variant):
    if variant.patience is None:
        return []
    return [
        keras.callbacks.EarlyStopping(
            "val_entropy",
            mode="min",
            patience=variant.patience,
            restore_best_weights=True,
        )
    ]


def dropout_means(size: int = 100_000) -> dict[str, tuple[float, float]]:
    """What dropout makes of ones on average, in training and at test time.

    Plain dropout keeps values as they are, so that it must scale them by
    1 - rate at test time. Inverted dropout, Keras's, divides in training.

    Args:
        size: Number of ones.
    """
    dropout = layers.Dropout(RATE, seed=0)
    ones = np.ones(size, "float32")
    inverted, at_test = (
        keras.ops.convert_to_numpy(dropout(ones, training=training))
        for training in (True, False)
    )
    plain = np.where(inverted > 0, ones, 0)
    return {
        "plain": (float(plain.mean()), 1 - RATE),
        "inverted": (float(inverted.mean()), float(at_test.mean())),
    }


def note(seed: int) -> Note:
    """Trains all networks, and tells.

    Args:
        seed: Of digits, first weights, order and noise.
    """
    found = {name: train(variant, seed) for name, variant in VARIANTS.items()}
    rows: list[tuple[str, ...]] = [
        (
            name,
            f"{x.losses[-1]:.3f}",
            f"{x.val_losses[-1]:.3f}",
            f"{min(x.val_losses):.3f} ({np.argmin(x.val_losses) + 1})",
            f"{x.accuracy:.1%}",
            f"{near_zero(x.kernel):.1%}",
        )
        for name, x in found.items()
    ]
    means = dropout_means()
    rows += [
        (f"{kind} dropout", *_of_ones(*pair)) for kind, pair in means.items()
    ]
    columns = (
        "regularised by",
        ">training loss",
        ">validation loss",
        ">lowest (epoch)",
        ">right",
        ">weights near 0",
    )
    return Note(columns, rows, _draw(found), _sentences(found, means))


def near_zero(kernel: np.ndarray) -> float:
    """The share of weights that are as good as 0.

    Args:
        kernel: Weights.
    """
    return float(np.mean(np.abs(kernel) < NEAR_ZERO))


def _of_ones(training: float, test: float) -> tuple[str, ...]:
    return f"ones: {training:.3f}", f"test: {test:.3f}", "", "", ""


def _sentences(found, means):
    nothing = found["nothing"]
    lowest = int(np.argmin(nothing.val_losses))
    ends = {name: x.val_losses[-1] for name, x in found.items()}
    ends["early stop"] = min(found["early stop"].val_losses)
    best = min(ends, key=ends.__getitem__)
    zeros = {name: near_zero(found[name].kernel) for name in PENALTIES}
    stopped = len(found["early stop"].losses)
    return (
        f"With nothing the training loss falls to {nothing.losses[-1]:.3f} "
        f"while the validation loss turns after epoch {lowest + 1} and rises "
        f"from {nothing.val_losses[lowest]:.2f} to "
        f"{nothing.val_losses[-1]:.2f}; early stopping ends after epoch "
        f"{stopped}, and {best} ends lowest, at {ends[best]:.2f}.",
        f"L1 brings {zeros['L1']:.0%} of the first layer's weights below "
        f"{NEAR_ZERO:g}, the elastic net {zeros['elastic net']:.0%}, L2 "
        f"{zeros['L2']:.0%} and nothing {zeros['nothing']:.0%}.",
        f"Plain dropout makes {means['plain'][0]:.3f} of a one in training, "
        f"so that test time must scale by {means['plain'][1]:g}; inverted "
        f"dropout keeps {means['inverted'][0]:.3f}, and test time leaves "
        f"{means['inverted'][1]:g} as it is.",
    )


def _draw(found):
    figure = new_figure(6.4)
    grid = figure.subplots(3, 4)
    high = 1.4 * max(found["nothing"].val_losses)
    for axes, (name, x) in zip(grid[:2].flat, found.items(), strict=True):
        epochs = range(1, len(x.losses) + 1)
        axes.plot(epochs, x.losses, label="training loss")
        axes.plot(epochs, x.val_losses, label="validation loss")
        axes.set(title=name, ylim=(0, high), xlim=(0, EPOCHS))
    for axes, name in zip(grid[2], PENALTIES, strict=True):
        weights = np.clip(found[name].kernel.ravel(), -0.4, 0.4)
        axes.hist(weights, 41, (-0.4, 0.4), color="0.5", log=True)
        axes.set(title=f"weights:\n{name}", xlim=(-0.4, 0.4), ylim=(1, 1e4))
    for axes in grid[:, 1:].flat:
        axes.set_yticklabels([])
    for axes in grid[1]:
        axes.set_xlabel("epoch")
    figure.legend(
        *grid[0][0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
    )
    return figure
