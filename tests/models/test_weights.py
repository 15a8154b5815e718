import hashlib
import logging
import re
import zipfile

import h5py
import keras
import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.signal import correlate

from dropzoo.models import create_model
from dropzoo.models.weights import load_weights


def correlated(image, kernel):
    """A `same` convolution by SciPy, `(height, width)` each."""
    return correlate(image, kernel, mode="same", method="direct")


def logits_by_hand(state, image):
    """What PyTorch computes from the state dict, for `(8, 8, 3)`."""

    def norm(x, name):
        part = {k: state[f"net.{name}.{k}"] for k in ("weight", "bias")}
        mean = state[f"net.{name}.running_mean"]
        deviation = np.sqrt(state[f"net.{name}.running_var"] + 1e-3)
        return (x - mean) / deviation * part["weight"] + part["bias"]

    kernel = state["net.stem_conv.weight"]  # (out, in, height, width)
    x = np.stack(
        [
            sum(correlated(image[..., i], kernel[o, i]) for i in range(3))
            for o in range(len(kernel))
        ],
        axis=-1,
    )
    x = norm(x, "stem_bn")
    kernel = state["net.block_depthwise_conv.weight"]
    x = np.stack(
        [correlated(x[..., c], kernel[c, 0]) for c in range(len(kernel))],
        axis=-1,
    )
    features = np.maximum(norm(x, "block_depthwise_bn"), 0).mean((0, 1))
    return state["net.logits.weight"] @ features + state["net.logits.bias"]


@pytest.fixture
def image():
    return np.random.default_rng(1).normal(size=(8, 8, 3)).astype("float32")


@pytest.fixture
def safetensors_file(tmp_path, state_dict):
    """Writes a state dict, changed as asked; returns its path."""

    def write(remove=(), **changes):
        state = {**state_dict, **changes}
        for name in remove:
            del state[name]
        path = tmp_path / "weights.safetensors"
        save_file(state, path)
        return path

    return write


def bits(model):
    return [weight.tobytes() for weight in model.get_weights()]


def refused(load, match):
    """Asserts that loading ends in one sentence that matches."""
    with pytest.raises((ValueError, OSError), match=match) as error:
        load()
    assert "\n" not in str(error.value)


def test_tensors_of_pytorch_act_as_they_do_there(
    tiny, build, safetensors_file, state_dict, image
):
    model = build()
    report = load_weights(model, tiny, safetensors_file())
    logits = np.asarray(model(image[None]))[0]
    expected = logits_by_hand(state_dict, image)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert len(report.loaded) == len(model.weights)
    assert report.left_random == ()


def test_the_report_tells_file_digest_and_number(tiny, build, safetensors_file):
    path = safetensors_file()
    report = load_weights(build(), tiny, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert report.sha256 == digest
    assert report.sentence() == (
        f"Loaded 12 tensors from {path} (SHA-256 {digest[:12]}...)."
    )


def test_a_file_is_loaded_by_its_path_alone(
    in_catalogue, safetensors_file, state_dict
):
    path = safetensors_file()
    for weights in (path, str(path)):
        model = create_model("tiny", weights=weights)
        kernel, bias = model.get_layer("logits").get_weights()
        np.testing.assert_array_equal(kernel, state_dict["net.logits.weight"].T)
        np.testing.assert_array_equal(bias, state_dict["net.logits.bias"])


def test_another_number_of_classes_leaves_the_head_random_and_says_so(
    in_catalogue, safetensors_file, state_dict, caplog
):
    with caplog.at_level(logging.WARNING, logger="dropzoo"):
        model = create_model("tiny", weights=safetensors_file(), num_classes=5)
    assert "new and random: logits/kernel, logits/bias." in caplog.text
    kernel, bias = model.get_layer("logits").get_weights()
    assert kernel.shape == (4, 5) and kernel.std() > 0 and not bias.any()
    norm = model.get_layer("stem_bn").get_weights()
    np.testing.assert_array_equal(norm[0], state_dict["net.stem_bn.weight"])
    np.testing.assert_array_equal(
        norm[3], state_dict["net.stem_bn.running_var"]
    )


def test_the_same_number_of_classes_keeps_the_head(
    in_catalogue, safetensors_file, state_dict, caplog
):
    with caplog.at_level(logging.WARNING, logger="dropzoo"):
        model = create_model("tiny", weights=safetensors_file(), num_classes=3)
    assert caplog.text == ""
    kernel, _ = model.get_layer("logits").get_weights()
    np.testing.assert_array_equal(kernel, state_dict["net.logits.weight"].T)


def test_a_model_without_head_takes_a_file_with_one(
    in_catalogue, safetensors_file, caplog
):
    with caplog.at_level(logging.WARNING, logger="dropzoo"):
        model = create_model("tiny", weights=safetensors_file(), num_classes=0)
    assert model.output_shape == (None, 4)
    assert caplog.text == ""


def test_a_file_without_head_makes_a_model_without_one(
    in_catalogue, safetensors_file
):
    head = ["net.logits.weight", "net.logits.bias"]
    model = create_model("tiny", weights=safetensors_file(remove=head))
    assert model.output_shape == (None, 4)


def test_a_file_without_head_does_not_pass_for_a_whole_one(
    tiny, build, safetensors_file
):
    path = safetensors_file(remove=["net.logits.weight", "net.logits.bias"])
    model = build()
    before = bits(model)
    refused(lambda: load_weights(model, tiny, path), "missing .*logits/kernel")
    assert bits(model) == before


NAN = np.full(4, np.nan, "float32")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"remove": ["net.stem_bn.bias"]}, "missing tensors: 1.*stem_bn/beta"),
        ({"net.more.weight": NAN}, "unknown tensors: 1.*net.more.weight"),
        (
            {"remove": ["net.stem_bn.bias"], "net.more.weight": NAN},
            "not for tiny; missing .* unknown",
        ),
        ({"net.stem_bn.bias": NAN}, "stem_bn/beta in .*holds NaN or infinity"),
        ({"net.stem_bn.running_var": NAN * 0 + np.inf}, "NaN or infinity"),
        (
            {"net.logits.weight": np.ones((5, 4), "float32")},
            r"shape \(4, 3\), but .*\(4, 5\).*num_classes",
        ),
        ({"net.stem_conv.weight": NAN[:3]}, r"shape \(3, 3, 3, 4\)"),
    ],
)
def test_a_file_that_does_not_fit_leaves_the_model_as_it_was(
    tiny, build, safetensors_file, changes, sentence
):
    model = build()
    before = bits(model)
    path = safetensors_file(**changes)
    refused(lambda: load_weights(model, tiny, path), sentence)
    assert bits(model) == before


def save_page(path):
    path.write_text("<!DOCTYPE html>\n<title>404</title>")


def save_nothing(path):
    path.write_bytes(b"")


def save_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")


@pytest.mark.parametrize("save", [save_page, save_nothing, save_zip])
@pytest.mark.parametrize(
    "name", ["w.pth", "w.pt", "w.safetensors", "w.keras", "w.weights.h5"]
)
def test_another_kind_of_file_is_refused_in_one_sentence(
    tiny, build, tmp_path, save, name
):
    path = tmp_path / name
    save(path)
    model = build()
    before = bits(model)
    refused(
        lambda: load_weights(model, tiny, path),
        rf"{re.escape(name)} is (not a whole|damaged)",
    )
    assert bits(model) == before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
@pytest.mark.parametrize("name", ["w.safetensors", "w.keras", "w.weights.h5"])
def test_a_file_that_is_cut_off_is_refused(
    tiny, build, safetensors_file, tmp_path, name, share
):
    path = tmp_path / name
    model = build()
    if name.endswith("safetensors"):
        safetensors_file().rename(path)
    elif name.endswith("keras"):
        model.save(path)
    else:
        model.save_weights(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    before = bits(model)
    refused(
        lambda: load_weights(model, tiny, path),
        rf"{re.escape(name)} is (not a whole|damaged)",
    )
    assert bits(model) == before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none.pth", "does not exist.*none.pth"),
        ("photo.jpg", "must be a .safetensors, .pth.*photo.jpg"),
        ("weights.h5", "must be a .safetensors, .pth.*weights.h5"),
    ],
)
def test_a_path_of_no_use_is_refused(tiny, build, tmp_path, name, sentence):
    if name != "none.pth":
        (tmp_path / name).touch()
    refused(lambda: load_weights(build(), tiny, tmp_path / name), sentence)


@pytest.mark.parametrize("name", ["w.keras", "w.weights.h5"])
def test_files_of_keras_come_back_to_the_bit(in_catalogue, tmp_path, name):
    model = create_model("tiny", num_classes=7)
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    path = tmp_path / name
    save = model.save if name == "w.keras" else model.save_weights
    save(path)
    again = create_model("tiny", weights=path)
    assert again.output_shape == (None, 7)
    assert bits(again) == bits(model)


@pytest.mark.parametrize("name", ["w.keras", "w.weights.h5"])
def test_a_file_of_a_larger_network_is_refused(tiny, build, tmp_path, name):
    model = build()
    larger = keras.Model(
        model.input,
        keras.layers.Dense(2, name="more")(model.get_layer("features").output),
    )
    path = tmp_path / name
    save = larger.save if name == "w.keras" else larger.save_weights
    save(path)
    headless = build(num_classes=0)
    before = bits(headless)
    refused(
        lambda: load_weights(headless, tiny, path),
        "unknown tensors: 2, the first more/kernel.*run's folder",
    )
    assert bits(headless) == before


def test_a_network_inside_a_saved_model_is_found(tiny, build, tmp_path):
    inner = build()
    photos = keras.Input((8, 8, 3))
    keras.Model(photos, keras.layers.Softmax()(inner(photos))).save(
        tmp_path / "w.keras"
    )
    model = build()
    load_weights(model, tiny, tmp_path / "w.keras")
    assert bits(model) == bits(inner)


def test_a_lambda_in_a_saved_model_is_not_executed(
    tiny, build, tmp_path, monkeypatch
):
    marker = tmp_path / "executed"
    monkeypatch.setenv("MARKER", str(marker))

    def execute(x):
        import os

        os.makedirs(os.environ["MARKER"], exist_ok=True)
        return x

    # Keras saves the code of functions of this name, and only of those.
    execute.__name__ = "<lambda>"
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Lambda(execute)(inputs))
    path = tmp_path / "w.keras"
    model.save(path)
    marker.rmdir()  # building the model has executed it
    refused(
        lambda: load_weights(build(), tiny, path),
        "w.keras is damaged, or .*safely",
    )
    assert not marker.exists()
    # The test notices execution: trusted, the file does execute.
    keras.saving.load_model(path, safe_mode=False)
    assert marker.exists()


def test_a_network_without_a_table_of_names_takes_no_state_dict(
    in_catalogue, safetensors_file
):
    in_catalogue(source_names=None)
    refused(
        lambda: create_model("tiny", weights=safetensors_file()),
        "tiny has no table of names",
    )


def test_a_weights_file_without_layers_is_refused(tiny, build, tmp_path):
    path = tmp_path / "w.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_group("layers/conv2d")
    refused(lambda: load_weights(build(), tiny, path), "not a whole Keras")
