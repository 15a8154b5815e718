import hashlib

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from dropzoo.models import create_model
from dropzoo.models.preprocessing import raw_input_model
from dropzoo.models.starting_point import (
    from_catalogue,
    from_saved_model,
    load_saved_model,
    network_of,
)


@pytest.fixture
def weights(tmp_path, state_dict, in_catalogue):
    """A file of weights of the tiny network."""
    path = tmp_path / "tiny.safetensors"
    save_file(state_dict, path)
    return path


@pytest.fixture
def saved(tmp_path, weights):
    """The raw-input model of a run, and its network."""
    point = from_catalogue("tiny", str(weights), 16)
    network = point.with_classifier(5, seed=0)
    path = tmp_path / "model.keras"
    raw_input_model(network).save(path)
    return path, network


def photos(side):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (4, side, side, 3), dtype=np.uint8)


def test_the_backbone_computes_what_the_network_does(weights):
    point = from_catalogue("tiny", str(weights), 16)
    assert point.size == (16, 16)
    original = create_model(
        "tiny", weights=weights, num_classes=0, input_shape=(16, 16, 3)
    )
    np.testing.assert_allclose(
        point.backbone(photos(16)), original(photos(16)), rtol=1e-4
    )


def test_the_backbone_has_no_batch_normalization_left(weights):
    layers = from_catalogue("tiny", str(weights), None).backbone.layers
    kinds = {type(layer) for layer in layers}
    assert keras.layers.BatchNormalization not in kinds


def test_the_facts_tell_where_weights_come_from(weights):
    point = from_catalogue("tiny", str(weights), None)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert point.facts["SHA-256"] == digest
    assert point.facts["weights"] == str(weights)
    assert point.facts["input"] == "8 px"
    assert point.loaded.startswith("Loaded 10 tensors from")


def test_random_weights_are_said_to_be_random(in_catalogue):
    point = from_catalogue("tiny", None, None)
    assert point.loaded == "Random weights."
    assert "weights" not in point.facts


@pytest.mark.slow(ci=True)
def test_the_catalogue_tells_licence_and_origin():
    point = from_catalogue("mobilenet_v2", "imagenet", 32)
    assert point.facts["licence"] == "MIT"
    assert "torchvision" in point.facts["origin"]
    assert point.facts["input"] == "32 px"


def test_a_classifier_stands_on_the_same_layers(weights):
    point = from_catalogue("tiny", str(weights), None)
    network = point.with_classifier(5, seed=3)
    assert network.output_shape == (None, 5)
    assert network.get_layer("stem_conv") is point.backbone.get_layer(
        "stem_conv"
    )
    assert network.name == "tiny"


def test_an_earlier_run_gives_its_backbone(saved):
    path, network = saved
    point = from_saved_model(path, None)
    assert point.size == (16, 16)
    features = keras.Model(network.input, network.get_layer("logits").input)
    np.testing.assert_allclose(
        point.backbone(photos(16)), features(photos(16)), rtol=1e-6
    )
    assert point.facts["name"] == "tiny"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert point.facts["SHA-256"] == digest
    again = point.with_classifier(2, seed=0)
    assert again.output_shape == (None, 2)


def test_an_earlier_run_keeps_its_size(saved):
    path, _ = saved
    assert from_saved_model(path, 16).size == (16, 16)
    with pytest.raises(ValueError, match="earlier run, 16. .*image_size=32"):
        from_saved_model(path, 32)


def test_a_classifier_without_dropout_before_it_is_found(tmp_path, saved):
    _, network = saved
    features = network.get_layer("features").output
    logits = keras.layers.Dense(3, name="logits")(features)
    plain = keras.Model(network.input, logits, name="plain")
    raw_input_model(plain).save(tmp_path / "plain.keras")
    point = from_saved_model(tmp_path / "plain.keras", None)
    assert point.backbone.output_shape == (None, 4)


def test_the_network_inside_a_saved_model_computes_logits(saved):
    path, network = saved
    inner = network_of(load_saved_model(path))
    np.testing.assert_allclose(
        inner(photos(16)), network(photos(16)), rtol=1e-6
    )


def test_a_model_without_such_a_network_is_refused(tmp_path):
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2)(x), name="other")
    with pytest.raises(ValueError, match="other holds no network with a class"):
        network_of(model)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("<html>")
    with pytest.raises(ValueError, match="model.keras is damaged"):
        load_saved_model(path)
    with pytest.raises(FileNotFoundError, match="no saved model .*none.keras"):
        load_saved_model(tmp_path / "none.keras")
