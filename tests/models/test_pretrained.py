"""The bundled weights compute what their authors' networks compute."""

import functools
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dropzoo.models import create_model, list_models, model_info
from dropzoo.models.preprocessing import resizing
from dropzoo.models.spec import Weights


@pytest.fixture(scope="module")
def pretrained():
    """Loads a network with its weights, once."""
    return functools.cache(lambda name: create_model(name, weights="imagenet"))


# Logits of the PyTorch originals on `arange(S * S * 3) % 256`, S x S pixels.
GOLDEN = {
    "efficientnet_lite0": {
        "first": [-1.6233, 0.0693, -1.5784, -2.523, -1.1545],
        "argmax": 904,
        "max": 6.0079,
        "sum": -75.941,
    },
    "efficientnet_lite1": {
        "first": [-0.9202, 0.0345, -1.6769, -1.8448, -1.26],
        "argmax": 811,
        "max": 7.6166,
        "sum": -74.551,
    },
}


def slow_but(chosen, names):
    """Those not chosen are slow; MobileNetV2 is looked at in CI."""
    return [
        pytest.param(
            name,
            marks=[pytest.mark.slow(ci=name == "mobilenet_v2")]
            * (name not in chosen),
        )
        for name in names
    ]


@pytest.mark.parametrize("name", slow_but({"efficientnet_lite0"}, GOLDEN))
def test_logits_are_those_of_the_original(pretrained, name):
    model, golden = pretrained(name), GOLDEN[name]
    side = model.input_shape[1]
    raw = (np.arange(side * side * 3) % 256).reshape(1, side, side, 3)
    logits = np.asarray(model(raw.astype("uint8")))[0]
    np.testing.assert_allclose(logits[:5], golden["first"], atol=1e-3)
    assert logits.argmax() == golden["argmax"]
    assert logits.max() == pytest.approx(golden["max"], abs=1e-3)
    # A thousand terms, each within 1e-3, of which errors half cancel.
    assert logits.sum(dtype="float64") == pytest.approx(golden["sum"], abs=1e-2)


@pytest.fixture(scope="module")
def photos():
    """Twenty labelled photos of ImageNet, `[(image, class), ...]`.

    The package is found, not imported: it imports much.
    """
    spec = importlib.util.find_spec("foolbox")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    files = sorted(folder.glob("imagenet_??_*.jpg"))
    assert len(files) == 20
    return [
        (
            np.asarray(Image.open(file).convert("RGB")),
            int(re.fullmatch(r"imagenet_\d+_(\d+)\.jpg", file.name)[1]),
        )
        for file in files
    ]


# Those whose weights lie in a package.
PACKAGED = [
    name
    for name in list_models(pretrained=True)
    if isinstance(model_info(name).weights[0], Weights)
]


@pytest.mark.parametrize("name", slow_but({"efficientnet_lite0"}, PACKAGED))
def test_photos_are_recognised(pretrained, photos, name):
    """By the kit's own rule: the whole photo, stretched, bilinear."""
    model = pretrained(name)
    resize = resizing(*model.input_shape[1:3])
    images = np.stack([np.asarray(resize(image)) for image, _ in photos])
    classes = np.array([label for _, label in photos])
    right = (model.predict_on_batch(images).argmax(axis=1) == classes).sum()
    assert right >= 17
    # What the catalogue says of this set; one photo may fall either way on
    # another machine.
    (record,) = model_info(name).weights
    assert abs(right - int(record.accuracy_measured.split()[0])) <= 1
