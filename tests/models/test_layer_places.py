import keras
from keras import layers

from dropzoo.layers import StochasticResidual
from dropzoo.models.layer_places import close_addresses, layer_places


def inner(name="inner", shape=(None, None, 3)):
    x = keras.Input(shape, name="x")
    y = layers.Conv2D(2, 3, 2, padding="same", name="conv")(x)
    return keras.Model(x, layers.ReLU(name="relu")(y), name=name)


def outer():
    photos = keras.Input((8, 8, 3), name="photos")
    return keras.Model(photos, layers.Flatten(name="flat")(inner()(photos)))


def test_an_inner_model_comes_behind_what_is_in_it():
    places = layer_places(outer())
    assert [place.address for place in places] == [
        "photos",
        "inner/x",
        "inner/conv",
        "inner/relu",
        "inner",
        "flat",
    ]
    assert [x.address for x in places if not x.is_leaf] == ["inner"]
    assert [x.address for x in places if x.has_weights] == ["inner/conv"]


def test_shapes_are_those_of_the_call_around():
    shapes = {place.address: place.shape for place in layer_places(outer())}
    assert shapes["inner/x"] == (None, 8, 8, 3)
    assert shapes["inner/relu"] == shapes["inner"] == (None, 4, 4, 2)
    assert shapes["flat"] == (None, 32)


def test_a_route_is_the_calls_around():
    model = outer()
    routes = {place.address: place.route for place in layer_places(model)}
    (call,) = routes["inner/conv"]
    assert call.operation is model.get_layer("inner")
    assert routes["inner"] == routes["flat"] == ()


def test_what_a_layer_calls_by_itself_has_no_route():
    x = keras.Input((8, 8, 3))
    branch = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(3, 1, name="conv")]
    )
    block = StochasticResidual(branch, rate=0.5, name="block")
    places = layer_places(keras.Model(x, block(x)))
    routes = {place.address: place.route for place in places}
    assert routes["block/conv"] is None and routes["block"] == ()


def test_looking_adds_no_calls():
    model = outer()
    conv = model.get_layer("inner").get_layer("conv")
    before = conv.output
    layer_places(model)
    assert conv.output is before and len(conv._inbound_nodes) == 1


def test_a_layer_that_is_called_twice_gives_its_first_result():
    x = keras.Input((8, 8, 2))
    conv = layers.Conv2D(2, 3, 2, padding="same", name="conv")
    places = layer_places(keras.Model(x, conv(conv(x))))
    (place,) = [place for place in places if place.address == "conv"]
    assert place.shape == (None, 4, 4, 2)


def test_a_model_without_a_graph_has_its_layers():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2, name="dense")

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(keras.ops.ones((1, 3)))
    (place,) = layer_places(model)
    assert place.address == "dense" and place.has_weights
    assert place.tensor is None


def test_a_hint_names_inner_layers_first():
    places = layer_places(outer())
    assert close_addresses(places, "conv") == "; did you mean 'inner/conv'?"
    assert close_addresses(places, "photo") == "; did you mean 'photos'?"
    assert close_addresses(places, "zebra") == ""
