import warnings
from io import BytesIO

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from dropzoo.data import Examples, evaluation_batches
from dropzoo.data.groceries import collect_groceries
from dropzoo.models import Preprocessing, create_model
from dropzoo.models.layerwise_adamw import LayerwiseAdamW
from dropzoo.models.portability import why_not_portable
from dropzoo.models.preprocessing import (
    check_raw_range,
    normalization,
    raw_input_model,
    resizing,
)

SIDE = 96


def bilinear(image, height, width):
    """Half-pixel bilinear sampling of `(h, w, 3)`, rounded, by hand."""
    result = image.astype("float64")
    for axis, size in ((0, height), (1, width)):
        old = result.shape[axis]
        at = (np.arange(size) + 0.5) * old / size - 0.5
        low = np.floor(at).astype(int)
        part = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
        first = result.take(low.clip(0, old - 1), axis)
        second = result.take((low + 1).clip(0, old - 1), axis)
        result = first * (1 - part) + second * part
    return result


@pytest.mark.parametrize("size", [(7, 9), (1, 1), (1, 40), (96, 96), (301, 5)])
def test_resizing_is_bilinear_without_antialiasing(size):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    resized = np.asarray(resizing(20, 33)(image))
    assert resized.dtype == np.uint8
    # Rounded to whole numbers; where a half falls, float32 decides.
    exact = bilinear(image, 20, 33)
    assert np.abs(resized - exact).max() <= 0.5 + 1e-3


def test_normalisation_is_that_of_the_paper():
    layer = normalization(Preprocessing((127.0,) * 3, (128.0,) * 3))
    raw = np.arange(256).repeat(3).reshape(1, 16, 16, 3)
    expected = (raw - 127) / 128
    np.testing.assert_allclose(layer(raw), expected, atol=1e-6)


def test_each_channel_has_its_own_mean_and_scale():
    layer = normalization(Preprocessing((1.0, 2.0, 3.0), (2.0, 4.0, 8.0)))
    np.testing.assert_allclose(
        layer(np.full((1, 1, 1, 3), 11.0)), [[[[5.0, 2.25, 1.0]]]], rtol=1e-6
    )


def mixed_photos():
    """A hundred photos: cut and scaled to odd sizes, some of them grey."""
    source = collect_groceries()
    sizes = [(1, 1), (97, 3), (1, 7), (2000, 1501), (333, 77), (SIDE, SIDE)]
    rng = np.random.default_rng(0)
    sizes += [tuple(rng.integers(2, 400, 2)) for _ in range(94)]
    photos = []
    for number, (width, height) in enumerate(sizes):
        photo = Image.open(BytesIO(source.content(number)))
        left, top = rng.integers(0, 100, 2)
        photo = photo.crop((left, top, photo.width, photo.height))
        if number % 7 == 0:
            photo = photo.convert("L")
        photo = photo.resize((int(width), int(height))).convert("RGB")
        photos.append(np.asarray(photo))
    return photos


def test_pipeline_and_saved_model_agree(tmp_path):
    network = create_model(
        "mobilenet_v2",
        weights="imagenet",
        input_shape=(SIDE, SIDE, 3),
        stochastic_depth=0.2,
    )
    # Neither its optimizer nor its random layers go into the file.
    factors = [1.0] * len(network.trainable_variables)
    network.compile(LayerwiseAdamW(factors), "mse")
    raw_input_model(network).save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    assert not model.compiled and why_not_portable(model) == {}
    photos = mixed_photos()
    # The first two differ in height and width: traced once for all sizes.
    batches = ((photo[None],) for photo in photos)
    saved = model.predict(batches, steps=len(photos), verbose=0)

    examples = Examples(
        labels=np.zeros(len(photos), np.int32),
        names=["photo"] * len(photos),
        digests=["0"] * len(photos),
        reader=photos.__getitem__,
    )
    batches = evaluation_batches(examples, (SIDE, SIDE), batch_size=50)
    logits = np.concatenate([network.predict_on_batch(x) for x, _ in batches])
    assert logits.std() > 1  # the weights tell photos apart
    np.testing.assert_allclose(saved, softmax(logits, axis=1), atol=1e-4)
    # Logits are known up to a number for each photo.
    of_saved = np.log(saved)
    difference = of_saved - logits
    difference -= difference.mean(axis=1, keepdims=True)
    assert np.abs(difference).max() < 1e-4


def test_a_raw_input_model_takes_photos_of_any_size():
    network = create_model(
        "mobilenet_v2",
        num_classes=3,
        input_shape=(32, 32, 3),
    )
    model = raw_input_model(network)
    assert model.input_shape == (None, None, None, 3)
    assert model.input.dtype == "uint8"
    assert model.name == "mobilenet_v2_classifier"
    photo = np.full((2, 41, 17, 3), 200, np.uint8)
    probabilities = np.asarray(model(photo))
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    "images",
    [
        np.linspace(0, 1, 12).reshape(1, 2, 2, 3),
        np.linspace(-1, 1, 12).reshape(1, 2, 2, 3),
        np.linspace(-2.1, 2.6, 12).reshape(1, 2, 2, 3).astype("float32"),
        keras.ops.ones((1, 2, 2, 3)) * 0.5,
    ],
)
def test_images_that_look_normalised_are_a_warning(images):
    with pytest.warns(UserWarning, match=r"takes RGB in \[0, 255\], but"):
        check_raw_range(images)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 2, 2, 3), np.uint8),
        np.full((1, 2, 2, 3), 255, np.uint8),
        np.linspace(0, 255, 12).reshape(1, 2, 2, 3),
        np.empty((0, 2, 2, 3)),
        keras.ops.ones((1, 2, 2, 3)) * 80,
    ],
)
def test_raw_images_are_no_warning(images):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_raw_range(images)
