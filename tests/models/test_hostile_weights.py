"""Files of no use, in every kind that is read: refused, and nothing is left."""

import pickle
import struct
import zipfile

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from dropzoo.models import create_model
from dropzoo.models.weight_sources import WeightSource
from dropzoo.models.weights import load_weights

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
KINDS = ["w.safetensors", "zip.pth", "legacy.pth", "w.weights.h5", "w.keras"]


def text(value):
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def numbers(values):
    return b"(" + b"".join(b"J" + struct.pack("<i", x) for x in values) + b"t"


def table(state):
    """The pickle of a state dict, as PyTorch writes it, opcode by opcode."""
    program = b"\x80\x02}("
    for key, (name, array) in enumerate(state.items()):
        kind = {"f": "FloatStorage", "i": "LongStorage"}[array.dtype.kind]
        storage = (b"(" + text("storage") + f"ctorch\n{kind}\n".encode()) + (
            text(str(key)) + text("cpu") + numbers([array.size])[1:-1] + b"tQ"
        )
        strides = [step // array.itemsize for step in array.strides]
        view = b"J\0\0\0\0" + numbers(array.shape) + numbers(strides)
        program += (
            text(name)
            + b"ctorch._utils\n_rebuild_tensor_v2\n("
            + storage
            + view
            + b"\x89ccollections\nOrderedDict\n)RtR"
        )
    return program + b"u."


def save_zip(path, state):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", table(state))
        for key, array in enumerate(state.values()):
            archive.writestr(f"archive/data/{key}", array.tobytes())


def save_legacy(path, state):
    keys = [str(key) for key in range(len(state))]
    with path.open("wb") as file:
        for head in (MAGIC_NUMBER, 1001, {}):
            pickle.dump(head, file, protocol=2)
        file.write(table(state))
        pickle.dump(keys, file, protocol=2)
        for array in state.values():
            file.write(struct.pack("<Q", array.size) + array.tobytes())


@pytest.fixture
def save(tmp_path, build, state_dict, tiny):
    """Saves the tiny network's weights in a kind of file, changed or not."""

    def network(rename, changes):
        save_file(state_dict, tmp_path / "whole.safetensors")
        model = build()
        load_weights(model, tiny, tmp_path / "whole.safetensors")
        for name, value in changes.items():
            _, layer, variable = name.split(".")
            kinds = {"bias": "beta", "running_var": "moving_variance"}
            own = {x.name: x for x in model.get_layer(layer).weights}
            own[kinds[variable]].assign(value)

        def clone(layer):
            config = layer.get_config()
            config["name"] = rename(layer.name)
            return type(layer).from_config(config)

        copy = keras.models.clone_model(model, clone_function=clone)
        copy.set_weights(model.get_weights())
        return copy

    def save(kind, rename=lambda name: name, **changes):
        path = tmp_path / kind
        if kind.endswith(("h5", "keras")):
            model = network(rename, changes)
            write = model.save if kind == "w.keras" else model.save_weights
            write(path)
            return path
        state = {
            rename(name): np.ascontiguousarray(value).reshape(value.shape)
            for name, value in {**state_dict, **changes}.items()
        }
        write = {"zip.pth": save_zip, "legacy.pth": save_legacy}.get(kind)
        if write is None:
            save_file(state, path)
        else:
            write(path, state)
        return path

    return save


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of converted weights."""
    monkeypatch.setenv("DROPZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def refused(in_catalogue, tiny, build, cache):
    """Asserts that a file is refused in a sentence, and leaves nothing."""

    def refused(path, match):
        model = build()
        before = [weight.tobytes() for weight in model.get_weights()]
        for load in (
            lambda: load_weights(model, tiny, path),
            lambda: create_model("tiny", weights=path),
        ):
            with pytest.raises(ValueError, match=match) as error:
                load()
            assert "\n" not in str(error.value)
        assert [weight.tobytes() for weight in model.get_weights()] == before
        assert not cache.exists()

    return refused


every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_what_is_whole_loads(save, in_catalogue, state_dict, kind):
    model = create_model("tiny", weights=save(kind))
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_array_equal(kernel, state_dict["net.logits.weight"].T)
    np.testing.assert_array_equal(bias, state_dict["net.logits.bias"])
    norm = model.get_layer("stem_bn").get_weights()
    for value, part in zip(
        norm, ("weight", "bias", "running_mean", "running_var"), strict=True
    ):
        np.testing.assert_array_equal(value, state_dict[f"net.stem_bn.{part}"])


@every_kind
@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("bias", np.nan),
        pytest.param("bias", np.inf, marks=pytest.mark.slow(ci=True)),
        pytest.param("running_var", np.nan, marks=pytest.mark.slow(ci=True)),
        pytest.param("running_var", np.inf, marks=pytest.mark.slow(ci=True)),
    ],
)
def test_nan_and_infinity_are_refused(save, refused, kind, part, value):
    values = np.array([1, 1, value, 1], "float32")
    path = save(kind, **{f"net.stem_bn.{part}": values})
    refused(path, r"stem_bn/\w+ in .* holds NaN or infinity")


@every_kind
def test_weights_of_another_network_are_refused(save, refused, kind):
    path = save(kind, rename=lambda name: name.replace("stem", "trunk"))
    refused(path, "not for tiny; missing .*stem_.*; unknown .*trunk_")


@every_kind
@pytest.mark.parametrize(
    "share", [pytest.param(0.3, marks=pytest.mark.slow(ci=True)), 0.97]
)
def test_a_file_that_is_cut_off_is_refused(save, refused, kind, share):
    path = save(kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, f"{path.name} is (not a whole|damaged)")


@every_kind
def test_a_page_instead_of_weights_is_refused(refused, tmp_path, kind):
    path = tmp_path / kind
    path.write_text("<!DOCTYPE html>\n<title>404 Not Found</title>\n")
    refused(path, f"{path.name} is (not a whole|damaged)")


def test_numbers_that_are_not_real_are_refused(tiny, build):
    class Complex(WeightSource):
        origin, sha256, num_classes = "a test", "", 3

        def tensors(self, names):
            return {
                name: np.ones(variable.shape, "complex64")
                for name, variable in names.items()
            }

    model = build()
    before = [weight.tobytes() for weight in model.get_weights()]
    with pytest.raises(ValueError, match="real numbers, but holds complex64"):
        load_weights(model, tiny, Complex())
    assert [weight.tobytes() for weight in model.get_weights()] == before
