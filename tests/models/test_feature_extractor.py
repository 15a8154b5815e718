import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.layers import StochasticResidual
from dropzoo.models import create_model, feature_extractor, graft
from dropzoo.models.preprocessing import raw_input_model


@pytest.fixture
def network():
    """Three levels and a head, with a BatchNorm that is not trivial."""
    x = y = keras.Input((16, 16, 3), name="images")
    for stride, filters in ((2, 2), (4, 3), (8, 4)):
        y = layers.Conv2D(filters, 3, 2, padding="same", name=f"conv_{stride}")(
            y
        )
        y = layers.BatchNormalization(name=f"bn_{stride}")(y)
        y = layers.ReLU(name=f"relu_{stride}")(y)
    y = layers.GlobalAveragePooling2D(name="features")(y)
    return keras.Model(x, layers.Dense(2, name="logits")(y), name="small")


def photos(side=16):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (2, side, side, 3)).astype("float32")


def step_by_step(network, x):
    """The maps, by calling one layer after the other."""
    maps = {}
    for layer in network.layers[1:]:
        x = layer(x)
        maps[layer.name] = x
    return maps


def test_all_levels_are_the_default(network):
    maps = feature_extractor(network)(photos())
    assert list(maps) == ["stride_2", "stride_4", "stride_8"]
    truth = step_by_step(network, photos())
    for stride in (2, 4, 8):
        np.testing.assert_allclose(
            maps[f"stride_{stride}"], truth[f"relu_{stride}"], rtol=1e-6
        )


@pytest.mark.parametrize("kind", [list, tuple])
def test_levels_and_layers_come_by_the_names_asked_for(network, kind):
    wanted = kind(["stride_8", "bn_4", "images"])
    maps = feature_extractor(network, wanted)(photos())
    truth = step_by_step(network, photos())
    np.testing.assert_allclose(maps["stride_8"], truth["relu_8"], rtol=1e-6)
    np.testing.assert_allclose(maps["bn_4"], truth["bn_4"], rtol=1e-6)
    np.testing.assert_array_equal(maps["images"], photos())


def test_one_name_needs_no_list(network):
    assert list(feature_extractor(network, "stride_4").output) == ["stride_4"]


def test_only_what_the_maps_need_is_computed(network):
    names = [x.name for x in feature_extractor(network, "stride_4").layers]
    assert names[-1] == "relu_4"


def test_layers_are_shared_and_the_original_is_left_as_it_was(network):
    before = {layer.name: layer.output for layer in network.layers}
    extractor = feature_extractor(network)
    for layer in extractor.layers:
        assert layer is network.get_layer(layer.name)
    assert {x.name: x.output for x in network.layers} == before
    assert all(len(x._inbound_nodes) == 1 for x in network.layers)


def test_a_saved_run_gives_the_maps_of_its_network(network, tmp_path):
    raw_input_model(network).save(tmp_path / "model.keras")
    saved = keras.saving.load_model(tmp_path / "model.keras")
    maps = feature_extractor(saved, ("stride_4", "small/conv_8"))(photos())
    truth = step_by_step(network, photos())
    np.testing.assert_allclose(maps["stride_4"], truth["relu_4"], rtol=1e-5)
    np.testing.assert_allclose(maps["small/conv_8"], truth["conv_8"], rtol=1e-5)


def test_an_extractor_is_saved_and_loaded(network, tmp_path):
    extractor = feature_extractor(network)
    extractor.save(tmp_path / "features.keras")
    again = keras.saving.load_model(tmp_path / "features.keras")(photos())
    for name, maps in extractor(photos()).items():
        np.testing.assert_array_equal(again[name], maps)


def test_a_backbone_of_any_size_is_measured_where_it_is_called():
    backbone = keras.applications.MobileNetV2(
        include_top=False, weights=None, alpha=0.35
    )
    model = keras.Sequential([keras.Input((64, 64, 3)), backbone])
    extractor = feature_extractor(model)
    # As table 2 of the paper has them, with a width of 0.35.
    assert {name: x.shape[1:] for name, x in extractor.output.items()} == {
        "stride_2": (32, 32, 48),
        "stride_4": (16, 16, 48),
        "stride_8": (8, 8, 96),
        "stride_16": (4, 4, 192),
        "stride_32": (2, 2, 1280),
    }


@pytest.mark.slow(ci=True)
def test_a_grafted_model_has_the_levels_of_its_original():
    model = create_model("mobilenet_v2", input_shape=(32, 32, 3), num_classes=2)
    levels = ("stride_8", "stride_16")
    expected = feature_extractor(model, levels)(photos(32))
    for skip in (False, True):
        grafted = graft(model, stochastic_depth=0.2, skip=skip, seed=0)
        maps = feature_extractor(grafted, levels)(photos(32))
        for name in levels:
            np.testing.assert_array_equal(maps[name], expected[name])


def test_the_extractor_of_an_extractor_finds_the_same(network):
    once = feature_extractor(network, ("stride_2", "stride_4"))
    twice = feature_extractor(once)
    for name, maps in once(photos()).items():
        np.testing.assert_array_equal(twice(photos())[name], maps)


@pytest.mark.parametrize(
    ("levels", "error", "sentence"),
    [
        ("stride_16", ValueError, "small, which has the levels stride_2, .*16"),
        ("conv_3", ValueError, "Received: 'conv_3'; did you mean 'conv_"),
        ((), ValueError, r"must name levels .*levels=\(\)"),
        (8, TypeError, "a name or a sequence of names. Received: levels=8"),
        ((2, 4), TypeError, "a name or a sequence of names"),
    ],
)
def test_what_is_not_there_is_refused(network, levels, error, sentence):
    with pytest.raises(error, match=sentence):
        feature_extractor(network, levels)


def test_a_network_without_levels_says_so():
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(2)(x))
    with pytest.raises(ValueError, match="has no levels. .*levels=None"):
        feature_extractor(model)


def test_what_a_layer_calls_by_itself_is_refused():
    x, y = keras.Input((8, 8, 3)), keras.Input((8, 8, 3), name="inside")
    branch = keras.Model(y, layers.ReLU(name="relu")(y), name="branch")
    model = keras.Model(x, StochasticResidual(branch, rate=0.5, name="b")(x))
    with pytest.raises(ValueError, match="'b/relu' of .* cannot be read from"):
        feature_extractor(model, "b/relu")


def test_a_model_without_a_graph_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    for model in (Own(), keras.Sequential([layers.ReLU()])):
        with pytest.raises(TypeError, match="functional or a built Seq.*Recei"):
            feature_extractor(model)


def test_the_maps_train_the_shared_layers(network):
    extractor = feature_extractor(network, "stride_8")
    pooled = layers.GlobalAveragePooling2D()(extractor.output["stride_8"])
    model = keras.Model(extractor.input, layers.Dense(1)(pooled))
    model.compile("sgd", "mse")
    before = network.get_layer("conv_2").get_weights()[0]
    model.fit(photos(), np.ones((2, 1)), verbose=0)
    assert np.abs(network.get_layer("conv_2").get_weights()[0] - before).any()
