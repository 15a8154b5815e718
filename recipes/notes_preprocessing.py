"""Preprocessing: what scaling does to features, to images and to a loss.

Heights in metres beside weights in kilograms, as they are, between 0 and 1,
and as z-scores; nominal values as one-hot columns; the mean image and the mean
of each channel of a hundred small photographs. All statistics are those of the
training split. A network then learns from the three kinds of features.

References: LeCun et al., "Efficient BackProp", 1998, section 4.3; Krizhevsky
et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
section 2 (the mean image); Simonyan and Zisserman, "Very Deep Convolutional
Networks", 2014, section 2.1 (the mean of each channel).
"""

from collections.abc import Sequence

import keras
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.preprocessing import MinMaxScaler

from dropzoo.recipes.note import Note, new_figure

PEOPLE, TRAINING = 400, 300
SIDE = 32  # pixels
# Height, weight, blood pressure; sex 1 of 2, constitution 3 of 4.
PERSON = (1.755, 65.5, 122.0)
NOMINAL = ((1, 2), (3, 4))  # category and number of categories
EPOCHS, RATE = 30, 0.1


def encode(
    numbers: Sequence[float], nominal: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Numbers as they are, and a column for each category.

    Args:
        numbers: What has an order and distances.
        nominal: Pairs of a category, counted from 1, and how many there are.

    Example:
        >>> encode([0.5], [(2, 3)]).tolist()
        [0.5, 0.0, 1.0, 0.0]
    """
    columns = [
        keras.layers.CategoryEncoding(count, output_mode="one_hot")(
            np.array([category - 1])
        )
        for category, count in nominal
    ]
    arrays = map(keras.ops.convert_to_numpy, columns)
    return np.concatenate([numbers, *(array.ravel() for array in arrays)])


def people(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Heights in metres and weights in kilograms, and who is heavy.

    Heavy is who has a body mass index above the median.

    Args:
        seed: Of the draw.

    Returns: Features `(people, 2)`, and labels of 0 and 1.
    """
    rng = np.random.default_rng(seed)
    heights = rng.normal(1.72, 0.09, PEOPLE)
    index = rng.normal(24, 3.5, PEOPLE)
    return np.stack([heights, index * heights**2], 1), index > np.median(index)


def scalings(x: np.ndarray) -> dict[str, np.ndarray]:
    """The features in three kinds, by statistics of the first rows alone.

    Args:
        x: Features; the training split comes first.
    """
    standard = keras.layers.Normalization()
    standard.adapt(x[:TRAINING])
    return {
        "as they are": x,
        "min-max": MinMaxScaler().fit(x[:TRAINING]).transform(x),
        "z-score": keras.ops.convert_to_numpy(standard(x)),
    }


def small_photographs() -> tuple[np.ndarray, np.ndarray]:
    """Two photographs of scikit-learn in pieces of 32x32, in two splits.

    Returns: Training images and others, `(images, 32, 32, 3)`.
    """
    photos = np.stack(load_sample_images().images)  # (2, 427, 640, 3)
    rows, columns = photos.shape[1] // SIDE, photos.shape[2] // SIDE
    tiles = photos[:, : rows * SIDE, : columns * SIDE].reshape(
        2, rows, SIDE, columns, SIDE, 3
    )
    tiles = tiles.swapaxes(2, 3).reshape(-1, SIDE, SIDE, 3).astype("float32")
    order = np.random.default_rng(0).permutation(len(tiles))
    return tiles[order[:400]], tiles[order[400:]]


def means(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is subtracted from images: each pixel's mean, or each channel's.

    Args:
        images: `(images, 32, 32, 3)`, of the training split alone.

    Returns: The mean image `(32, 32, 3)` and the channels' means `(3,)`.
    """
    pixels = keras.layers.Normalization(axis=(1, 2, 3))
    channels = keras.layers.Normalization(axis=-1)
    for layer in (pixels, channels):
        layer.adapt(images)
    to_numpy = keras.ops.convert_to_numpy
    return to_numpy(pixels.mean)[0], to_numpy(channels.mean).ravel()


def learn(
    features: dict[str, np.ndarray], labels: np.ndarray, seed: int
) -> dict[str, list[float]]:
    """Trains the same network on each kind of features.

    Args:
        features: By the name of their kind; the training split comes first.
        labels: 0 or 1.
        seed: Of the first weights and of the order.

    Returns: The validation loss after each epoch.
    """
    curves = {}
    for name, x in features.items():
        keras.utils.set_random_seed(seed)
        network = keras.Sequential(
            [
                keras.Input((2,)),
                keras.layers.Dense(8, "tanh"),
                keras.layers.Dense(1, "sigmoid"),
            ]
        )
        network.compile(keras.optimizers.SGD(RATE), "binary_crossentropy")
        history = network.fit(
            x[:TRAINING],
            labels[:TRAINING],
            batch_size=20,
            epochs=EPOCHS,
            validation_data=(x[TRAINING:], labels[TRAINING:]),
            validation_batch_size=PEOPLE,
            verbose=0,
        )
        curves[name] = history.history["val_loss"]
    return curves


def note(seed: int) -> Note:
    """Scales, subtracts, learns, and tells.

    Args:
        seed: Of the people and of the network.
    """
    x, labels = people(seed)
    features = scalings(x)
    train, test = small_photographs()
    image, channels = means(train)
    rest = float(np.abs((test - channels).mean((0, 1, 2))).max())
    curves = learn(features, labels, seed)
    rows = [(f"features, {n}", _range(x)) for n, x in features.items()]
    rows += [
        (f"network's loss, {name}", f"{losses[0]:.3f}, then {losses[-1]:.3f}")
        for name, losses in curves.items()
    ]
    person = ", ".join(f"{value:g}" for value in encode(PERSON, NOMINAL))
    rows += [
        ("a person, one-hot", person),
        ("mean image", f"{image.shape}, {image.min():.0f}..{image.max():.0f}"),
        ("mean of each channel", ", ".join(f"{m:.1f}" for m in channels)),
        ("other split without it", f"at most {rest:.1f} from 0"),
    ]
    vivid = train[train.std((1, 2, 3)).argmax()]
    figure = _draw(features, curves, vivid, image)
    return Note(
        ("what", "value"), rows, figure, _sentences(features, curves, rest)
    )


def _range(x: np.ndarray) -> str:
    (low, first), (high, last) = zip(
        x[:TRAINING].min(0), x[:TRAINING].max(0), strict=True
    )
    return f"heights {low:.2f}..{first:.2f}, weights {high:.2f}..{last:.2f}"


def _sentences(features, curves, rest):
    spread = features["as they are"][:TRAINING].std(0)
    last = {name: losses[-1] for name, losses in curves.items()}
    best = min(last, key=last.__getitem__)
    lowest = {name: min(losses) for name, losses in curves.items()}
    raw = "as they are"
    return (
        f"In metres and kilograms weights spread {spread[1] / spread[0]:.0f} "
        "times as far as heights, which make "
        f"{spread[0] ** 2 / (spread**2).sum():.3%} of a squared distance "
        "between people; as z-scores they make half of it.",
        f"A guess has the loss {np.log(2):.2f}: after {EPOCHS} epochs the "
        f"network ends at {last[best]:.2f} with features by {best}, and at "
        f"{last[raw]:.2f} with features {raw}, whose best was "
        f"{lowest[raw]:.2f}.",
        "Means are those of the training split, and so the channels of the "
        f"other split's images stay up to {rest:.1f} of 255 from 0, as those "
        "of new photographs will.",
    )


def _draw(features, curves, image, mean_image):
    figure = new_figure(5.0)
    (raw, scaled), (loss, mean) = figure.subplots(2, 2)
    for axes, name in ((raw, "as they are"), (scaled, "z-score")):
        axes.scatter(*features[name][:TRAINING].T, s=5, alpha=0.6)
        axes.set(title=name, aspect="equal")
    raw.set(xlabel="height (m)", ylabel="weight (kg)")
    raw.set(xlim=(-50, 60), ylim=(0, 120))
    scaled.set(xlim=(-4, 4), ylim=(-4, 4))
    for name, losses in curves.items():
        loss.plot(range(1, EPOCHS + 1), losses, label=name)
    loss.axhline(np.log(2), color="0.6", linestyle=":")
    loss.set(xlabel="epoch", title="validation loss", ylim=(0, None))
    loss.legend()
    gap = np.full((SIDE, 2, 3), 255)
    strip = [image, gap, mean_image, gap, image - mean_image + 128]
    mean.imshow(np.concatenate(strip, axis=1).clip(0, 255) / 255)
    mean.set(xticks=(), yticks=(), title="image, mean image, and without it")
    mean.spines[:].set_visible(False)
    return figure
