"""Each thing that can be wrong is found, and only where it is wrong."""

import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.callbacks import sanity_failures
from dropzoo.models import create_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 6)).astype("float32")
Y = np.arange(24) % 3
ONE_HOT = np.eye(3)[Y]
PHOTOS = RNG.integers(0, 256, (6, 32, 32, 3)).astype("uint8")


def build(*hidden, loss="sparse_logits", shape=(6,), last=None):
    losses = {
        "sparse_logits": keras.losses.SparseCategoricalCrossentropy(True),
        "dense_logits": keras.losses.CategoricalCrossentropy(True),
    }
    last = last or layers.Dense(3, name="head")
    model = keras.Sequential([keras.Input(shape), *hidden, last])
    model.compile("sgd", losses.get(loss, loss))
    return model


def hidden(**options):
    return layers.Dense(16, activation="relu", name="hidden", **options)


def found(model, x=X, y=Y, **options):
    """Pairs of check and sentence."""
    model.run_eagerly = options.get("steps") == 0  # quicker for a few steps
    failures = sanity_failures(model, x, y, **options)
    return [(failure.check, failure.sentence) for failure in failures]


def only(model, x=X, y=Y, **options):
    """The one failure that there is."""
    [(check, sentence)] = found(model, x, y, **options)
    return f"{check}: {sentence}"


@pytest.mark.parametrize(
    "loss, last, y",
    [
        ("sparse_logits", None, Y),
        pytest.param(
            "dense_logits", None, ONE_HOT, marks=pytest.mark.slow(ci=True)
        ),
        pytest.param(
            "sparse_categorical_crossentropy",
            layers.Dense(3, "softmax"),
            Y[:, None].astype("float32"),
            marks=pytest.mark.slow(ci=True),
        ),
        ("binary_crossentropy", layers.Dense(1, "sigmoid"), Y[:, None] // 2),
        ("mse", None, X[:, :3]),
    ],
    ids=["sparse", "dense", "softmax", "binary", "regression"],
)
def test_a_sound_start_has_no_failures(loss, last, y):
    assert found(build(hidden(), loss=loss, last=last), y=y) == []


def test_dropout_batch_norm_and_regularisation_are_sound():
    model = build(
        hidden(kernel_regularizer=keras.regularizers.L2(0.1)),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
    )
    assert found(model) == []


@pytest.mark.slow(ci=True)
def test_a_new_residual_network_is_judged_by_batch_statistics():
    """By its moving statistics, still 0 and 1, its logits would be large."""
    x = inputs = keras.Input((6,))
    for _ in range(12):
        normalised = layers.BatchNormalization()(x)
        x = x + layers.Dense(6, "relu")(normalised)
    model = keras.Model(inputs, layers.Dense(3)(layers.BatchNormalization()(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    features = 100 * X
    assert loss(Y, model(features)) > 3 * np.log(3)
    assert found(model, features, steps=0) == []


def test_word_numbers_through_an_embedding_are_sound():
    words = RNG.integers(0, 50, (24, 5))
    model = build(layers.Embedding(50, 8), layers.Flatten(), shape=(5,))
    assert found(model, words, steps=0) == []


def test_a_branch_that_begins_at_zero_is_sound():
    inputs = keras.Input((6,))
    x = layers.Dense(6, "tanh")(inputs)
    branch = layers.Dense(6, kernel_initializer="zeros")(layers.Dense(6)(x))
    outputs = layers.Dense(3)(x + branch)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    assert found(model, steps=0) == []


@pytest.mark.parametrize(
    "y, sentence",
    [
        (Y + 1, "from 0 to 2, but lie in [1, 3]; they probably begin at 1"),
        (Y - 1, "lie in [-1, 1]; what is below 0 probably marks a missing"),
        (Y * 2, "lie in [0, 4]; the last layer probably needs 5 units"),
        (Y / 2, "some are fractions; they are probably scaled"),
        (np.where(Y == 1, np.nan, Y), "Some labels are not finite"),
        (ONE_HOT, "look one-hot, but the loss takes class numbers"),
    ],
    ids=["from 1", "from -1", "too high", "fractions", "nan", "one-hot"],
)
def test_labels_that_are_no_class_numbers_are_found(y, sentence):
    model = build()
    assert f"{sentence}" in only(model, y=y)
    assert only(model, y=y).startswith("labels: ")


@pytest.mark.parametrize(
    "y, sentence",
    [
        (Y, "rows of 3 probabilities, but have the shape (24,)"),
        (ONE_HOT * 2, "must sum to 1 with nothing below 0, but the sums lie"),
        (ONE_HOT * 3 - 2 / 3, "must sum to 1 with nothing below 0"),
    ],
    ids=["class numbers", "sums", "below 0"],
)
def test_rows_that_are_no_probabilities_are_found(y, sentence):
    assert sentence in only(build(loss="dense_logits"), y=y)


def test_labels_outside_the_unit_interval_are_found_for_two_classes():
    model = build(loss="binary_crossentropy", last=layers.Dense(1, "sigmoid"))
    assert "must lie in [0, 1], but lie in [0, 2]" in only(model, y=Y[:, None])


def test_input_that_is_not_finite_is_found():
    x = X.copy()
    x[3, 2:4] = np.inf, np.nan
    assert "1.39% of the input is not finite" in only(build(), x)


@pytest.mark.parametrize("x", [X * 0, X[:1] + 0 * X], ids=["blank", "equal"])
def test_examples_that_are_all_equal_are_found(x):
    assert only(build(), x).startswith("input: All examples are equal")


def test_blank_examples_are_found():
    x = X.copy()
    x[[5, 9]] = 7
    assert "2 of 24 examples are blank, first the one at position 5" in only(
        build(hidden()), x, steps=0
    )


def test_photos_that_are_normalised_already_are_found():
    y = np.arange(6) % 3
    model = create_model("lenet5", num_classes=3, input_shape=(32, 32, 3))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    assert found(model, PHOTOS, y, steps=0) == []
    assert "they look normalised already" in only(
        model, PHOTOS / 255, y, steps=0
    )


def test_raw_photos_for_a_network_that_does_not_rescale_are_found():
    def plain(*first):
        pool = layers.GlobalAveragePooling2D()
        return build(*first, layers.Conv2D(4, 3), pool, shape=(32, 32, 3))

    y = np.arange(6) % 3
    sentences = [sentence for _, sentence in found(plain(), PHOTOS, y, steps=0)]
    assert sentences[0].startswith("The images lie in [0, 255] and the model")
    assert found(plain(layers.Rescaling(1 / 255)), PHOTOS, y, steps=0) == []
    assert found(plain(), PHOTOS / 255, y, steps=0) == []


def test_a_first_loss_above_chance_is_found():
    sentence = only(build(), X * 30, steps=0)
    assert "who knows nothing has 1.1, the logarithm of the number" in sentence
    assert "weights or the input are probably too large" in sentence


def test_a_first_loss_below_chance_is_found():
    model = build()
    model.get_layer("head").set_weights([np.eye(6, 3) * 9, np.zeros(3)])
    sentence = only(model, np.eye(6)[Y], steps=0)
    assert "the head was probably trained before" in sentence


def test_a_first_loss_is_not_compared_after_the_first_step():
    model = build()
    model.fit(X, Y, verbose=0, batch_size=24)
    assert found(model, X * 30, steps=0) == []


def test_logits_that_the_loss_takes_for_probabilities_are_found():
    model = build(hidden(), loss="sparse_categorical_crossentropy")
    sentences = [sentence for _, sentence in found(model, steps=0)]
    assert "the loss needs from_logits=True" in sentences[0]


def test_a_softmax_that_may_be_applied_twice_is_found():
    model = build(hidden(), last=layers.Dense(3, "softmax"))
    sentence = only(model, steps=0)
    assert sentence.startswith("first loss: The model ends with a softmax and")


def test_weights_that_are_not_finite_are_found():
    model = build()
    model.get_layer("head").set_weights([np.full((6, 3), np.nan), np.zeros(3)])
    assert only(model).startswith("first loss: The first loss is nan and the")


def test_a_layer_that_no_gradient_reaches_is_named():
    dead = build(
        hidden(bias_initializer=keras.initializers.Constant(-99)),
        layers.Dense(8, name="behind"),
    )
    sentence = only(dead, steps=0)
    assert sentence.startswith("gradients: No gradient reaches `")
    assert "hidden`" in sentence
    assert "head" not in sentence


def test_a_network_that_no_gradient_reaches_is_found():
    @keras.saving.register_keras_serializable("tests")
    class Rounding(layers.Layer):
        def call(self, x):
            return keras.ops.stop_gradient(x)

    model = keras.Sequential([keras.Input((6,)), layers.Dense(3), Rounding()])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    assert only(model, steps=0).startswith(
        "gradients: No gradient reaches `dense"
    )


def test_a_gradient_that_is_not_finite_is_found():
    @keras.saving.register_keras_serializable("tests")
    class Root(layers.Layer):
        def call(self, x):
            zero = x - keras.ops.stop_gradient(x)
            return x + keras.ops.sqrt(keras.ops.square(zero))  # slope 0 / 0

    sentence = only(build(hidden(), Root()), steps=0)
    assert sentence.startswith("gradients: The gradient is not finite in `")
    assert "hidden`" in sentence


def test_a_frozen_model_is_found():
    model = build(hidden())
    model.trainable = False
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    assert only(model, steps=0).startswith(
        "gradients: No layer trains; everything"
    )


def test_equal_examples_with_different_labels_are_found():
    x = X.copy()
    x[:12] = x[12:]
    sentence = only(build(hidden()), x, (np.arange(24) // 4) % 2 * 2)
    assert "equal examples have different labels" in sentence


def test_a_network_that_is_too_small_is_found():
    narrow = layers.Dense(1, "tanh", name="narrow")
    sentence = only(build(narrow, layers.Dropout(0.9)))
    assert "cannot be learned by heart" in sentence
    assert "the network is probably too small or regularised" in sentence


def test_a_model_that_is_not_compiled_is_refused():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="must be built and compiled"):
        sanity_failures(model, X, Y)
