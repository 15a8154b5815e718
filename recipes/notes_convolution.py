"""Convolution and pooling by hand, number by number, beside Keras's.

Course notes show a 6x6 matrix, a 3x3 kernel, and printed results. Computed
once by NumPy from the definition and once by Keras, both agree with each other
and not with every printed number. The second half shows what convolution is
for: a network of dense layers and one of convolutions learn digits that stand
in the middle, and read digits that are shifted.

References: Dumoulin and Visin, "A Guide to Convolution Arithmetic for Deep
Learning", 2016; LeCun et al., "Gradient-Based Learning Applied to Document
Recognition", 1998, section II.
"""

import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits

from dropzoo.recipes.note import Note, new_figure


def matrix(text: str) -> np.ndarray:
    """Reads rows of numbers that slashes divide, as notes print them.

    Args:
        text: Such as `"1 2 / 3 4"`.

    Example:
        >>> matrix("1 2 / 3 4").tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    return np.array([row.split() for row in text.split("/")], "float32")


IMAGE = matrix(
    "3 1 1 2 2 2 / 1 2 1 4 1 1 / 1 1 2 2 1 3 / "
    "2 4 3 4 2 1 / 1 2 3 2 1 2 / 4 4 3 2 1 3"
)
KERNEL = matrix("2 0 0 / 1 -1 0 / 0 -2 3")
HOMEWORK = matrix("1 1 2 4 / 5 6 7 8 / 3 2 1 0 / 1 2 3 4")
# As the notes print them, with their mistakes.
PRINTED = {
    "convolution, valid": "9 5 -2 16 / 3 9 0 8 / 5 3 2 10 / 4 7 6 16",
    "max pooling": "3 4 2 / 4 4 3 / 4 3 3",
    "average pooling": "1.75 2.25 1.5 / 2 2.75 1.75 / 2.75 2.5 1.75",
    "homework, max": "6 8 / 3 4",
    "homework, average": "3.25 5.25 / 2 2",
}
SHIFTS = (0, 1, 2, 3)  # pixels


def windows(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    """The square windows of a matrix, `(rows, columns, size, size)`.

    Those that would stand out are left out, as "valid" padding does.

    Args:
        x: A matrix.
        size: Side of a window.
        stride: Steps from one window to the next.
    """
    return sliding_window_view(x, (size, size))[::stride, ::stride]


def same_padding(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Pads a matrix as "same" does: an odd row or column goes to the end.

    Args:
        x: A matrix.
        size: Side of the kernel.
        stride: Steps from one window to the next.
    """
    pads = []
    for length in x.shape:
        outputs = -(-length // stride)
        total = max((outputs - 1) * stride + size - length, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(x, pads)


def convolve(
    x: np.ndarray, kernel: np.ndarray, stride: int = 1, padding: str = "valid"
) -> np.ndarray:
    """The sums of windows times kernel, which is not flipped.

    Args:
        x: A matrix.
        kernel: A square matrix.
        stride: Steps from one window to the next. Defaults to 1.
        padding: `"valid"` or `"same"`. Defaults to `"valid"`.

    Example:
        >>> convolve(np.eye(3), np.ones((2, 2))).tolist()
        [[2.0, 1.0], [1.0, 2.0]]
    """
    if padding == "same":
        x = same_padding(x, len(kernel), stride)
    return np.einsum("ijkl,kl->ij", windows(x, len(kernel), stride), kernel)


def spread_back(x: np.ndarray, gradient: np.ndarray, kind: str) -> np.ndarray:
    """Takes the gradient of 2x2 pooling back to its input.

    Max pooling gives all of it to the largest value of a window, and to the
    first of equal ones; average pooling gives a quarter to each.

    Args:
        x: The matrix that was pooled.
        gradient: Of each window.
        kind: `"max"` or `"average"`.
    """
    shares = np.full_like(x, 0.25)
    if kind == "max":
        shares = np.zeros_like(x)
        for row, column in np.ndindex(gradient.shape):
            window = x[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            down, right = divmod(int(window.argmax()), 2)
            shares[2 * row + down, 2 * column + right] = 1
    return shares * np.kron(gradient, np.ones((2, 2)))


def keras_gradient(
    pool: Callable, x: np.ndarray, gradient: np.ndarray
) -> np.ndarray:
    """The same by Keras and TensorFlow.

    Args:
        pool: Keras's `max_pool` or `average_pool`.
        x: The matrix that is pooled.
        gradient: Of each window.
    """
    image = tf.constant(x[None, ..., None])
    with tf.GradientTape() as tape:
        tape.watch(image)
        pooled = pool(image, 2)
    back = tape.gradient(pooled, image, gradient[None, ..., None])
    return np.asarray(back)[0, ..., 0]


Results = dict[str, tuple[np.ndarray, np.ndarray]]


def compare() -> Results:
    """Each result twice, by hand and by Keras."""
    return {**_convolutions(), **_poolings(), **_gradients()}


def _convolutions() -> Results:
    found = {}
    for padding, stride in itertools.product(("valid", "same"), (1, 2)):
        name = f"convolution, {padding}" + ", stride 2" * (stride == 2)
        by_keras = ops.conv(
            IMAGE[None, ..., None],
            KERNEL[..., None, None],
            strides=stride,
            padding=padding,
        )
        by_hand = convolve(IMAGE, KERNEL, stride, padding)
        found[name] = by_hand, _plain(by_keras)
    return found


def _poolings() -> Results:
    found = {}
    for title, x in (("{} pooling", IMAGE), ("homework, {}", HOMEWORK)):
        blocks, image = windows(x, 2, 2), x[None, ..., None]
        for kind, by_hand, pool in (
            ("max", blocks.max((2, 3)), ops.max_pool),
            ("average", blocks.mean((2, 3)), ops.average_pool),
        ):
            found[title.format(kind)] = by_hand, _plain(pool(image, 2))
    return found


def _gradients() -> Results:
    found = {}
    gradient = np.arange(1, 10, dtype="float32").reshape(3, 3)
    for kind, pool in (("max", ops.max_pool), ("average", ops.average_pool)):
        by_hand = spread_back(IMAGE, gradient, kind)
        by_keras = keras_gradient(pool, IMAGE, gradient)
        found[f"{kind} pooling, backwards"] = by_hand, by_keras
    return found


def _plain(image: Any) -> np.ndarray:
    return ops.convert_to_numpy(image)[0, ..., 0]


def misprints(
    name: str, computed: np.ndarray
) -> list[tuple[int, int, float, float]]:
    """Row, column, printed and true number of each misprint.

    Args:
        name: Of the result, as in `PRINTED`.
        computed: The result.
    """
    if name not in PRINTED:
        return []
    printed = matrix(PRINTED[name])
    return [
        (row, column, float(printed[row, column]), float(computed[row, column]))
        for row, column in np.argwhere(printed != computed).tolist()
    ]


def read_shifted(seed: int, epochs: int = 12) -> dict[str, list[float]]:
    """Accuracy of a dense and a convolutional network on shifted digits.

    Args:
        seed: Of the first weights and of the order.
        epochs: Of the training, on digits in the middle of their pictures.

    Returns: For each network the accuracies by the number of pixels.
    """
    digits = load_digits()
    images = np.pad(digits.images / 16, ((0, 0), (4, 4), (4, 4)))[..., None]
    train, test = slice(None, 1300), slice(1300, None)
    shifted = [
        np.concatenate(
            [
                np.roll(images[test], sign * shift, axis)
                for sign in (-1, 1)
                for axis in (1, 2)
            ]
        )
        for shift in SHIFTS
    ]
    labels = np.tile(digits.target[test], 4)
    accuracies = {}
    for name, model in _networks(seed).items():
        model.compile(
            keras.optimizers.Adam(0.003),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        model.fit(images[train], digits.target[train], 32, epochs, verbose=0)
        accuracies[name] = [
            float(model.evaluate(x, labels, 512, verbose=0)[1]) for x in shifted
        ]
    return accuracies


def _networks(seed: int) -> dict[str, keras.Model]:
    """Two networks of about as many weights."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image = keras.Input((16, 16, 1))
    x = layers.Flatten()(image)
    x = layers.Dense(20, activation="relu")(x)
    dense = keras.Model(image, layers.Dense(10)(x))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(image)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.GlobalMaxPooling2D()(x)
    convolutional = keras.Model(image, layers.Dense(10)(x))
    return {"dense": dense, "convolutional": convolutional}


def note(seed: int) -> Note:
    """Compares, reads shifted digits, and tells.

    Args:
        seed: Of the networks.
    """
    results = compare()
    accuracies = read_shifted(seed)
    rows = [
        (
            name,
            _text(by_hand),
            "equal" if np.array_equal(by_hand, by_keras) else "another",
            _differences(name, by_hand),
        )
        for name, (by_hand, by_keras) in results.items()
    ]
    for name, shares in accuracies.items():
        shifts = ", ".join(
            f"{share:.1%} at {shift}"
            for shift, share in zip(SHIFTS, shares, strict=True)
        )
        rows.append((f"{name} network", f"right: {shifts} px shift", "", ""))
    figure = _draw({name: x for name, (x, _) in results.items()}, accuracies)
    columns = ("what", "by hand", "Keras", "print")
    return Note(columns, rows, figure, _sentences(results, accuracies))


def _text(x: np.ndarray) -> str:
    if x.size > 16:
        return f"{len(x)}x{len(x[0])} numbers"
    return " / ".join(" ".join(f"{cell:g}" for cell in row) for row in x)


def _differences(name: str, computed: np.ndarray) -> str:
    if name not in PRINTED:
        return ""
    wrong = [
        f"{printed:g} in row {row + 1}, column {column + 1} must be {true:g}"
        for row, column, printed, true in misprints(name, computed)
    ]
    return "; ".join(wrong) or "right"


def _sentences(results, accuracies):
    agree = sum(np.array_equal(*pair) for pair in results.values())
    wrong = [
        f"{_differences(name, by_hand)} ({name})"
        for name, (by_hand, _) in results.items()
        if misprints(name, by_hand)
    ]
    back, _ = results["max pooling, backwards"]
    ties = sum(
        int((window == window.max()).sum() > 1)
        for window in windows(IMAGE, 2, 2).reshape(-1, 2, 2)
    )
    dense, convolutional = accuracies["dense"], accuracies["convolutional"]
    return (
        f"{agree} of {len(results)} results are the same by hand and by "
        f"Keras; printed wrongly are: {', '.join(wrong)}.",
        f"{ties} windows of max pooling have two largest values, and the "
        f"first takes the whole gradient: {np.count_nonzero(back)} of "
        f"{back.size} pixels get one, while average pooling gives a quarter "
        "to each.",
        f"Moved by {SHIFTS[-1]} pixels, the digits are read by the dense "
        f"network at {dense[-1]:.0%} instead of {dense[0]:.0%}, and by the "
        f"convolutional one at {convolutional[-1]:.0%} instead of "
        f"{convolutional[0]:.0%}.",
    )


def _draw(results, accuracies):
    figure = new_figure(4.4)
    grid = iter(figure.subplots(2, 3).flat)
    _draw_matrix(next(grid), "image", IMAGE)
    for name in (
        "convolution, valid",
        "convolution, same",
        "average pooling",
        "max pooling, backwards",
    ):
        wrong = misprints(name, results[name])
        _draw_matrix(next(grid), name, results[name], wrong)
    axes = next(grid)
    for name, shares in accuracies.items():
        axes.plot(SHIFTS, shares, "o-", label=name)
    axes.set(
        ylim=(0, 1.02),
        xticks=SHIFTS,
        xlabel="shift (pixels)",
        title="digits read",
    )
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(loc="center right", bbox_to_anchor=(1.03, 0.62))
    return figure


def _draw_matrix(axes, title, x, wrong=()):
    """Draws numbers on shades; misprints in a red frame."""
    axes.imshow(x, cmap="Blues", vmin=x.min(), vmax=2 * x.max() - x.min())
    for (row, column), cell in np.ndenumerate(x):
        axes.text(column, row, f"{cell:g}", ha="center", va="center")
    for row, column, printed, _ in wrong:
        axes.plot(
            column + np.array([-0.5, 0.5, 0.5, -0.5, -0.5]),
            row + np.array([-0.5, -0.5, 0.5, 0.5, -0.5]),
            color="tab:red",
            clip_on=False,
        )
        axes.set_xlabel(f"printed: {printed:g}", color="tab:red")
    axes.set(title=title, xticks=(), yticks=())
    axes.spines[:].set_visible(False)
