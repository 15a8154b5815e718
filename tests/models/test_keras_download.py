"""Weights come from a server as Keras gets them; what is of no use goes."""

import dataclasses
import hashlib
import http.server
import logging
import os
import re
import threading
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from dropzoo.models import catalogue, create_model, model_info
from dropzoo.models.keras_adapter import Adapted
from dropzoo.models.keras_weights import KerasWeights
from dropzoo.models.spec import ModelSpec, Preprocessing
from dropzoo.models.weights import load_weights

SIDE, CLASSES = 8, 5
PREPROCESSING = Preprocessing((127.5,), (127.5,))


def tiny_net(
    *,
    weights,
    input_tensor,
    classes,
    classifier_activation,
    filters=4,
    layers=1,
):
    """A network in the manner of keras.applications, mostly without names."""
    assert weights is None
    x = keras.layers.Rescaling(1 / 255)(input_tensor)
    for _ in range(layers):
        x = keras.layers.Conv2D(filters, 3)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.1)(x)
    x = keras.layers.Dense(
        classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(input_tensor, x)


def random_tiny(**options):
    model = tiny_net(
        weights=None,
        input_tensor=keras.Input((SIDE, SIDE, 3)),
        classes=CLASSES,
        classifier_activation=None,
        **options,
    )
    rng = np.random.default_rng(3)
    model.set_weights([rng.random(w.shape) for w in model.get_weights()])
    return model


def save_as_published(model, path):
    """The layout of Keras's published files: groups by layer, in order."""
    with h5py.File(path, "w") as file:
        layers = [layer for layer in model.layers if layer.weights]
        file.attrs["layer_names"] = [f"layer_{i}" for i in range(len(layers))]
        for index, layer in enumerate(layers):
            group = file.create_group(f"layer_{index}")
            names = [f"weight_{i}:0" for i in range(len(layer.weights))]
            group.attrs["weight_names"] = names
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name] = value


@pytest.fixture(autouse=True)
def keras_home(monkeypatch):
    """Lets Keras reach servers on this machine, and removes what it keeps."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = Path(os.environ["KERAS_HOME"]) / "models"
    before = set(folder.glob("*"))
    yield folder
    for path in set(folder.glob("*")) - before:
        path.unlink()


def record_of(file, url, **changes):
    record = KerasWeights(
        tag="imagenet",
        url=url,
        file=file,
        preprocessing=PREPROCESSING,
        num_classes=CLASSES,
        licence="MIT",
        origin="nobody",
    )
    return dataclasses.replace(record, **changes)


class Server:
    """Serves bytes on this machine and counts the requests."""

    def __init__(self):
        self.content = b""
        self.length = None  # of the content, as announced
        self.status = 200
        self.requests = 0
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.requests += 1
                self.send_response(owner.status)
                length = owner.length or len(owner.content)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(owner.content)

            def log_message(self, *arguments):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(
            target=self.http.serve_forever,
            kwargs={"poll_interval": 0.01},  # seconds until it sees the end
        )
        self.thread.start()

    def url(self, file):
        return f"http://127.0.0.1:{self.http.server_port}/{file}"

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def published():
    """The network whose weights are served."""
    return random_tiny()


@pytest.fixture
def put(server, published, tmp_path, monkeypatch):
    """Puts weights on the server and their network into the catalogue."""
    monkeypatch.setattr(keras.applications, "Tiny", tiny_net, raising=False)

    def put(model=published, content=None, **changes):
        path = tmp_path / "tiny.h5"
        save_as_published(model, path)
        server.content = path.read_bytes() if content is None else content
        spec = ModelSpec(
            name="tiny",
            build=Adapted("Tiny", family="tiny"),
            input_size=SIDE,
            parameters=145,
            preprocessing=PREPROCESSING,
            reference="none",
            num_classes=CLASSES,
            weights=(record_of("tiny.h5", server.url("tiny.h5"), **changes),),
        )
        monkeypatch.setattr(catalogue, "CATALOGUE", {"tiny": spec})
        return spec

    return put


def test_weights_are_those_that_the_server_has(put, published):
    put()
    model = create_model(
        "tiny", weights="imagenet", include_preprocessing=False
    )
    images = np.random.default_rng(0).random((2, SIDE, SIDE, 3), "float32")
    expected = published(images * 255)  # which it rescales
    np.testing.assert_allclose(model(images), expected, rtol=1e-5)


def test_a_file_is_downloaded_once_and_kept_by_keras(put, server, keras_home):
    spec = put()
    assert spec.weights[0].find_file() is None
    create_model("tiny", weights="imagenet")
    kept = keras_home / "tiny.h5"
    assert spec.weights[0].find_file() == kept
    assert kept.read_bytes() == server.content
    server.status = 500
    create_model("tiny", weights="imagenet")
    assert server.requests == 1


@pytest.mark.parametrize(
    "kind", [pytest.param("md5", marks=pytest.mark.slow(ci=True)), "sha256"]
)
def test_a_file_with_the_right_checksum_is_taken(put, server, kind):
    spec = put()
    digest = hashlib.new(kind, server.content).hexdigest()
    put(**{kind: digest})
    model = create_model("tiny", weights="imagenet")
    report = load_weights(model, spec, model_info("tiny").weights[0])
    assert report.origin == "tiny.h5 of Keras (imagenet)"
    assert report.sha256 == hashlib.sha256(server.content).hexdigest()


def test_another_number_of_classes_leaves_the_head_random_and_says_so(
    put, published, caplog
):
    put()
    with caplog.at_level(logging.WARNING, logger="dropzoo"):
        model = create_model("tiny", weights="imagenet", num_classes=2)
    assert "new and random: logits/kernel, logits/bias." in caplog.text
    np.testing.assert_array_equal(
        model.get_layer("conv2d").get_weights()[0],
        published.layers[2].get_weights()[0],
    )


def test_a_model_without_head_takes_the_same_file(put, caplog):
    put()
    with caplog.at_level(logging.WARNING, logger="dropzoo"):
        model = create_model("tiny", weights="imagenet", num_classes=0)
    assert model.output_shape == (None, 4) and caplog.text == ""


def test_kernels_for_bgr_are_turned_round(put, published):
    put(channel_order="bgr")
    model = create_model("tiny", weights="imagenet")
    np.testing.assert_array_equal(
        model.get_layer("conv2d").get_weights()[0],
        published.layers[2].get_weights()[0][:, :, ::-1],
    )


def refused(keras_home, sentence, kind=ValueError):
    """Asserts one sentence, a model as it was and an empty cache."""
    spec = model_info("tiny")
    model = create_model("tiny")
    before = [w.tobytes() for w in model.get_weights()]
    with pytest.raises(kind, match=sentence) as error:
        load_weights(model, spec, spec.weights[0])
    assert "\n" not in str(error.value)
    assert [w.tobytes() for w in model.get_weights()] == before
    assert not (keras_home / "tiny.h5").exists()


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_wrong_checksum_is_refused(put, server, keras_home, kind):
    put(**{kind: "0" * 32})
    found = hashlib.new(kind, server.content).hexdigest()
    refused(keras_home, f"must have the {kind.upper()} 0+, but has {found}")


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html>\n<title>Sign in</title>"]
)
def test_a_page_instead_of_weights_is_refused(put, keras_home, content):
    put(content=content)
    refused(keras_home, "tiny.h5 is not a whole Keras weights file")


@pytest.mark.parametrize(
    "share",
    [
        pytest.param(0.1, marks=pytest.mark.slow(ci=True)),
        pytest.param(0.5, marks=pytest.mark.slow(ci=True)),
        0.98,
    ],
)
def test_a_file_that_is_cut_off_is_refused(put, server, keras_home, share):
    put()
    put(content=server.content[: int(share * len(server.content))])
    refused(keras_home, "tiny.h5 is not a whole Keras weights file")


def test_a_download_that_breaks_off_is_refused(put, server, keras_home):
    put()
    server.length = len(server.content) + 1
    refused(keras_home, "could not be downloaded", ConnectionError)


def test_a_missing_file_is_refused(put, server, keras_home):
    put()
    server.status = 404
    refused(keras_home, "downloaded .*404.*try again", ConnectionError)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"layers": 2}, "tiny.h5 is not for tiny .*[Ll]ayer count mismatch"),
        ({"filters": 3}, "tiny.h5 is not for tiny .*[Ss]hape mismatch"),
    ],
)
def test_weights_of_another_network_are_refused(
    put, keras_home, options, sentence
):
    put(random_tiny(**options))
    refused(keras_home, sentence)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(
    put, keras_home, published, value
):
    weights = published.get_weights()
    weights[1][:] = value
    published.set_weights(weights)
    put()
    refused(keras_home, "conv2d/bias in .* holds NaN or infinity")


def test_after_a_refusal_the_file_is_got_anew(put, server, keras_home):
    put(content=b"<html>")
    refused(keras_home, "not a whole")
    put()
    create_model("tiny", weights="imagenet")
    assert server.requests == 2


def test_a_file_of_keras_is_for_networks_of_keras(put, tiny):
    record = put().weights[0]
    model = create_model("tiny")
    sentence = "tiny is not a network of keras.applications"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load_weights(model, tiny, record)
