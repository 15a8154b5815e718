import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.models.inner_tensors import outer_tensors
from dropzoo.models.layer_places import layer_places


def inner(name):
    """Two layers with a random one between, and a counter of its calls."""
    x = keras.Input((4,))
    y = layers.Dense(4, name="first")(x)
    y = layers.BatchNormalization(name="norm", momentum=0.5)(y)
    return keras.Model(x, layers.Dense(4, name="second")(y), name=name)


def extract(model, *addresses):
    """A model with what some layers give as its outputs."""
    places = {place.address: place for place in layer_places(model)}
    found = [places[address] for address in addresses]
    return keras.Model(
        model.inputs[0],
        outer_tensors(model, [(x.route, x.tensor) for x in found]),
    )


@pytest.fixture
def model():
    """Two models in a row, the second with a model in it, then a layer."""
    x, y = keras.Input((4,)), keras.Input((4,))
    z = layers.Dense(4, name="third")(inner("core")(y))
    deep = keras.Model(y, z, name="deep")
    return keras.Model(x, layers.Dense(2, name="top")(deep(inner("low")(x))))


def by_hand(model, x):
    """What each layer gives, one layer after the other."""
    values = {}
    for address in (
        "low/first",
        "low/norm",
        "low/second",
        "deep/core/first",
        "deep/core/norm",
        "deep/core/second",
        "deep/third",
        "top",
    ):
        layer = model
        for name in address.split("/"):
            layer = layer.get_layer(name)
        x = values[address] = layer(x)
    return values


@pytest.mark.parametrize(
    "addresses",
    [
        ("low/first",),
        ("deep/core/norm",),
        ("low/norm", "deep/core/first", "top"),
        ("top", "deep/third", "deep/core/second", "low/second"),
        ("deep/core/first", "deep/third"),
        ("low", "deep/core"),
    ],
)
def test_it_gives_what_the_layers_give(model, addresses):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    values = by_hand(model, x)
    values |= {"low": values["low/second"]}
    values |= {"deep/core": values["deep/core/second"]}
    extractor = extract(model, *addresses)
    found = keras.tree.flatten(extractor(x))
    for address, value in zip(addresses, found, strict=True):
        np.testing.assert_allclose(value, values[address], rtol=1e-6)


def test_only_what_leads_there_is_in_it(model):
    extractor = extract(model, "deep/core/first")
    names = [layer.name for layer in extractor.layers]
    assert names[1:] == ["low", "deep"]
    core = extractor.get_layer("deep").get_layer("core")
    assert [layer.name for layer in core.layers][1:] == ["first"]


def test_nothing_is_computed_twice(model):
    """In training a BatchNorm that ran twice would move twice."""
    extractor = extract(model, "low/norm", "deep/core/norm", "top")
    norm = model.get_layer("low").get_layer("norm")
    x = np.random.default_rng(0).normal(3, 1, size=(64, 4)).astype("float32")
    expected = 0.5 * np.mean(model.get_layer("low").get_layer("first")(x), 0)
    extractor(x, training=True)
    np.testing.assert_allclose(norm.moving_mean, expected, rtol=1e-4)


def test_arguments_of_the_calls_are_kept():
    x = keras.Input((4,))
    y = inner("core")(x, training=False)
    model = keras.Model(x, layers.ReLU(name="top")(y))
    extractor = extract(model, "core/norm", "top")
    (call,) = extractor.get_layer("core")._inbound_nodes
    assert call.arguments.kwargs["training"] is False


def test_a_model_that_is_called_twice_is_read_at_its_first_call():
    x = keras.Input((4,))
    core = inner("core")
    model = keras.Model(x, layers.ReLU(name="top")(core(core(x))))
    extractor = extract(model, "core/first", "top")
    data = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    first, top = extractor(data)
    np.testing.assert_allclose(first, core.get_layer("first")(data), rtol=1e-6)
    np.testing.assert_allclose(top, model(data), rtol=1e-6)


def test_the_original_computes_and_shows_what_it_did(model):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    before, config = model(x), model.get_config()
    outputs = {
        place.address: place.operation.output for place in layer_places(model)
    }
    extract(model, "low/norm", "deep/core/first", "top")
    np.testing.assert_array_equal(model(x), before)
    assert model.get_config() == config
    for place in layer_places(model):
        assert place.operation.output is outputs[place.address]
