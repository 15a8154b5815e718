"""Calibrated models: what they compute, what they need, what is refused."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from scipy.special import softmax

from dropzoo.evaluation import calibrate
from dropzoo.layers import StochasticDepth
from dropzoo.models import create_model, ensemble
from dropzoo.models.portability import why_not_portable
from dropzoo.models.preprocessing import raw_input_model

rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(400, 4)).astype("float32")
KERNEL = rng.normal(size=(4, 3)).astype("float32")
LABELS = (IMAGES @ KERNEL + rng.gumbel(size=(400, 3))).argmax(axis=1)
OTHERS = rng.normal(size=(30, 4)).astype("float32")


def overconfident(*end, factor=5.0, activation=None):
    """A classifier that is five times as sure of itself as it should be."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, use_bias=False, activation=activation),
            *end,
        ]
    )
    model.layers[0].set_weights([factor * KERNEL])
    return model


def expected(temperature, factor=5.0):
    return softmax(factor * OTHERS @ KERNEL / temperature, axis=1)


ENDS = {
    "softmax layer": lambda: overconfident(keras.layers.Softmax()),
    "softmax activation": lambda: overconfident(
        keras.layers.Activation("softmax")
    ),
    "softmax in a dense layer": lambda: overconfident(activation="softmax"),
    "ensemble": lambda: ensemble([overconfident(), overconfident()]),
}


@pytest.fixture(scope="module")
def by_logits():
    return calibrate(overconfident(), IMAGES, LABELS)


def test_the_temperature_undoes_the_overconfidence(by_logits):
    # 400 labels tell the temperature to about 8 % (one standard deviation).
    assert by_logits.temperature == pytest.approx(5, rel=0.25)
    before, after = by_logits.before, by_logits.after
    assert after.expected_calibration_error < (
        before.expected_calibration_error / 2
    )
    assert after.negative_log_likelihood < before.negative_log_likelihood
    assert after.accuracy == before.accuracy


def test_a_model_of_logits_gives_logits(by_logits):
    given = by_logits.model.predict(OTHERS, verbose=0)
    logits = 5 * OTHERS @ KERNEL / by_logits.temperature
    np.testing.assert_allclose(given, logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", ENDS.values(), ids=ENDS)
def test_a_model_of_probabilities_gives_probabilities(make, by_logits):
    result = calibrate(make(), IMAGES, LABELS)
    assert result.temperature == pytest.approx(by_logits.temperature, rel=1e-3)
    given = result.model.predict(OTHERS, verbose=0)
    np.testing.assert_allclose(given, expected(result.temperature), atol=1e-5)


def test_the_temperature_stands_between_logits_and_softmax():
    result = calibrate(ENDS["softmax layer"](), IMAGES, LABELS)
    dense, temperature, end = result.model.layers[1:]
    assert [type(layer) for layer in (dense, temperature, end)] == [
        keras.layers.Dense,
        keras.layers.Rescaling,
        keras.layers.Softmax,
    ]
    assert temperature.scale == pytest.approx(1 / result.temperature)


def test_the_figures_are_those_of_a_hand_worked_example():
    # 400 images, all with the confidence 0.9; 280 of them are right.
    logits = keras.layers.Rescaling(float(np.log(9)))
    model = keras.Sequential([keras.Input((2,)), logits])
    labels = np.array([0] * 280 + [1] * 120)
    images = np.tile([1.0, 0.0], (400, 1)).astype("float32")
    result = calibrate(model, images, labels)
    assert result.before.expected_calibration_error == pytest.approx(0.2)
    assert result.before.negative_log_likelihood == pytest.approx(
        -(280 * np.log(0.9) + 120 * np.log(0.1)) / 400
    )
    assert result.temperature == pytest.approx(np.log(9) / np.log(7 / 3))
    assert result.after.expected_calibration_error == pytest.approx(0, abs=1e-6)
    assert result.sentence() == (
        "Temperature 2.59, fitted on 400 images: calibration error 20.0% "
        "before and 0.0% after, negative log-likelihood 0.765 and 0.611."
    )


def test_few_images_bring_a_warning():
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        calibrate(overconfident(), IMAGES[:99], LABELS[:99])
        calibrate(overconfident(), IMAGES[:100], LABELS[:100])
    told = [str(x.message) for x in noted if x.category is UserWarning]
    assert told == [
        "calibrate: a temperature fitted on 99 images is uncertain; at least "
        "100 are advised."
    ]


def test_the_model_itself_is_left_as_it_was():
    model = overconfident()
    before = model.predict(OTHERS, verbose=0)
    result = calibrate(model, IMAGES, LABELS)
    result.model.layers[1].set_weights([np.zeros((4, 3))])
    np.testing.assert_array_equal(model.predict(OTHERS, verbose=0), before)


def test_a_model_is_calibrated_again_on_other_images(by_logits):
    again = calibrate(by_logits.model, IMAGES[::-1], LABELS[::-1])
    assert again.temperature == pytest.approx(1, rel=1e-4)
    names = [layer.name for layer in again.model.layers]
    assert names[-2:] == ["temperature", "temperature_again"]


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        part = slice(50 * index, 50 * index + 50)
        return IMAGES[part], LABELS[part]


def as_tf_data():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(64)


@pytest.mark.parametrize(
    "make",
    [Batches, as_tf_data, lambda: (Batches()[i] for i in range(8))],
    ids=["PyDataset", "tf.data", "generator"],
)
def test_batches_give_the_same_as_arrays(make, by_logits):
    result = calibrate(overconfident(), make())
    assert result.temperature == pytest.approx(by_logits.temperature, rel=1e-4)
    assert result.before.num_examples == 400


@pytest.mark.slow  # starts another Python with TensorFlow
def test_a_raw_input_model_keeps_its_form_and_loads_with_keras_alone(tmp_path):
    network = create_model("lenet5", num_classes=3, seed=0)
    photos = rng.integers(256, size=(120, 40, 30, 1), dtype=np.uint8)
    labels = np.arange(120) % 3
    shares = raw_input_model(network).predict(photos, verbose=0)
    labels[:100] = shares.argmax(axis=1)[:100]  # so that something is right
    result = calibrate(raw_input_model(network), photos, labels)
    path = tmp_path / "calibrated.keras"
    result.model.save(path)
    np.save(tmp_path / "photos.npy", photos[:3])
    np.save(
        tmp_path / "expected.npy", result.model.predict(photos[:3], verbose=0)
    )
    script = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model('calibrated.keras')\n"
        "given = model.predict(np.load('photos.npy'), verbose=0)\n"
        "np.testing.assert_allclose(given, np.load('expected.npy'), 1e-5)\n"
        "sys.exit('dropzoo' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert result.model.input_shape == (None, None, None, 1)


def test_layers_for_training_are_left_out():
    model = overconfident(StochasticDepth(0.5, seed=0))
    assert why_not_portable(model)
    assert why_not_portable(calibrate(model, IMAGES, LABELS).model) == {}


def test_half_precision_gets_a_temperature_in_full_precision():
    half = keras.layers.Dense(3, use_bias=False, dtype="mixed_float16")
    model = keras.Sequential([keras.Input((4,)), half, keras.layers.Softmax()])
    half.set_weights([5 * KERNEL])
    result = calibrate(model, IMAGES, LABELS)
    given = result.model.predict(OTHERS, verbose=0)
    assert result.model.get_layer("temperature").compute_dtype == "float32"
    np.testing.assert_allclose(given, expected(result.temperature), atol=5e-3)


def test_a_probability_of_zero_is_a_low_one():
    hard = overconfident(activation="softmax", factor=1e4)
    assert (hard.predict(IMAGES, verbose=0) == 0).any()
    result = calibrate(hard, IMAGES, LABELS)
    assert np.isfinite(result.model.predict(IMAGES, verbose=0)).all()
    assert result.after.expected_calibration_error < (
        result.before.expected_calibration_error
    )


def two_outputs():
    images = keras.Input((4,))
    return keras.Model(images, [keras.layers.Dense(3)(images)] * 2)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((Subclassed(), IMAGES, LABELS), TypeError, "functional or Sequential"),
        ((two_outputs(), IMAGES, LABELS), ValueError, "must have one output"),
        (
            (overconfident(keras.layers.Dense(1)), IMAGES, LABELS),
            ValueError,
            "two classes or more",
        ),
        ((overconfident(), IMAGES), ValueError, "Received: nothing for 400"),
        ((overconfident(), IMAGES, LABELS[:9]), ValueError, "9 labels for 400"),
        ((overconfident(), Batches(), LABELS), ValueError, "must be left out"),
        ((overconfident(), iter([])), ValueError, "at least one image"),
        ((overconfident(), [IMAGES]), ValueError, "ndarray as a batch"),
        (
            (overconfident(), IMAGES, np.eye(3)[LABELS]),
            TypeError,
            "argmax of one-hot",
        ),
        ((overconfident(), IMAGES, LABELS + 1), ValueError, r"in \[0, 3\)"),
        (
            (overconfident(), IMAGES[:19], LABELS[:19]),
            ValueError,
            "at least 20",
        ),
        ((overconfident(), IMAGES, LABELS * 0), ValueError, "several classes"),
        (
            (overconfident(), IMAGES * np.nan, LABELS),
            ValueError,
            "infinity for 400 of 400 images",
        ),
    ],
)
def test_what_cannot_be_calibrated_is_refused(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        calibrate(*arguments)


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(ValueError, match="batch_size=0"):
        calibrate(overconfident(), IMAGES, LABELS, batch_size=0)
