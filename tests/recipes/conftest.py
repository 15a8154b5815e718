"""A folder of small photos, a network of two convolutions, and tiny runs."""

import types
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dropzoo import cli
from dropzoo.models import catalogue
from dropzoo.models.spec import ModelSpec, Preprocessing
from dropzoo.recipes import finetune

CLASSES = ("horizontal", "slanted", "vertical")
SIZE = 32  # pixels


def build_tiny(*, name, num_classes, input_shape, preprocessing, techniques):
    """Two convolutions: a training that is over before lite0 is traced."""
    import keras
    from keras import layers

    from dropzoo.models.heads import classifier
    from dropzoo.models.preprocessing import normalization

    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images)
    for number, filters in enumerate((16, 32), start=1):
        x = layers.Conv2D(
            filters, 3, 2, padding="same", use_bias=False, name=f"conv{number}"
        )(x)
        x = layers.BatchNormalization(name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = classifier(x, num_classes, 0.0, techniques)
    return keras.Model(images, logits, name=name)


TINY = ModelSpec(
    name="tiny",
    build=build_tiny,
    input_size=SIZE,
    parameters=0,
    preprocessing=Preprocessing(mean=(127.0,) * 3, scale=(128.0,) * 3),
    reference="none",
)


@pytest.fixture(scope="session", autouse=True)
def tiny_network():
    """Adds the network `tiny` to the catalogue."""
    with pytest.MonkeyPatch.context() as patch:
        extended = {**catalogue.CATALOGUE, TINY.name: TINY}
        patch.setattr(catalogue, "CATALOGUE", types.MappingProxyType(extended))
        yield


def stripes(kind: str, number: int) -> np.ndarray:
    """A photo of noisy stripes, `(32, 32, 3)`; no other number yields it."""
    rng = np.random.default_rng((CLASSES.index(kind), number))
    y, x = np.mgrid[:SIZE, :SIZE] * rng.uniform(0.6, 1.2) + rng.uniform(0, 6)
    wave = {"horizontal": y, "slanted": x + y, "vertical": x}[kind]
    colour = rng.uniform(20, 60, 3)
    pixels = 128 + np.sin(wave)[..., np.newaxis] * colour
    noisy = pixels + rng.normal(0, 40, pixels.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def write_photos(
    folder: Path, numbers: Sequence[int], kinds: Sequence[str] = CLASSES
) -> Path:
    """Writes PNG files of stripes, a sub-folder for each class."""
    for kind in kinds:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            path = folder / kind / f"{number:03}.png"
            Image.fromarray(stripes(kind, number)).save(path)
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """A folder without splits: 20 photos of each of 3 classes."""
    return write_photos(tmp_path_factory.mktemp("photos"), range(20))


@pytest.fixture(scope="session")
def split_photos(tmp_path_factory) -> Path:
    """A folder with splits; 20 validation photos of each class are enough."""
    folder = tmp_path_factory.mktemp("split-photos")
    write_photos(folder / "train", range(20))
    write_photos(folder / "val", range(20, 40))
    write_photos(folder / "test", range(40, 48))
    return folder


@pytest.fixture(scope="session")
def tuned_options(split_photos) -> dict:
    """Options with which fine-tuning the tiny network helps, in seconds."""
    return {
        "data": str(split_photos),
        "model": "tiny",
        "weights": "random",
        "epochs": 4,
        "peak_rate": 0.01,
        "batch_size": 10,
        "augmentation": "light",
    }


@pytest.fixture(scope="session")
def tuned_run(tuned_options, tmp_path_factory) -> finetune.Result:
    """A run that keeps the fine-tuned network."""
    out = tmp_path_factory.mktemp("runs") / "tuned"
    return finetune.run(finetune.Config(**tuned_options, out=str(out)))


@pytest.fixture
def refusal(capsys):
    """Gives the one sentence, and the status 2, that a command ends in."""

    def refuse(verb: str, *words: str) -> str:
        capsys.readouterr()
        try:
            status = cli.main([verb, *words])
        except SystemExit as stop:  # from reading the options
            status = stop.code
        output = capsys.readouterr()
        assert (status, output.out) == (2, "")
        sentence = output.err.splitlines()[-1]
        assert sentence.startswith(f"dropzoo {verb}: ")
        assert "Traceback" not in output.err
        return sentence

    return refuse
