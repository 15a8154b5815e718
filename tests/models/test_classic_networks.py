"""AlexNet, GoogLeNet, LeNet-5, Network in Network, VGG and their like."""

import functools
import math

import keras
import numpy as np
import pytest
from keras import layers
from safetensors.numpy import save_file

from dropzoo.layers import (
    DropBlock2D,
    DropConnectDense,
    FractionalMaxPooling2D,
    StochasticPooling2D,
)
from dropzoo.models import (
    Techniques,
    alexnet,
    create_model,
    googlenet,
    lenet,
    nin,
    vgg,
    zeiler_fergus,
)
from dropzoo.models.freezing import levels

FAMILIES = (alexnet, googlenet, lenet, nin, vgg, zeiler_fergus)
SPECS = {spec.name: spec for family in FAMILIES for spec in family.SPECS}
# One network of each kind, and what makes it quick to build.
SMALL = {
    "alexnet": {"units": 16},
    "googlenet": {},
    "lenet5": {},
    "nin_cifar": {},
    "notes_cnn": {},
    "stochastic_pooling_cnn": {},
    "vgg11": {"units": 16},
    "vgg11_cifar": {},
}
HIDDEN = ["dense1", "dense2"]
WITH_HIDDEN = {"alexnet": HIDDEN, "lenet5": HIDDEN, "vgg11": HIDDEN}
ALL_AT_ONCE = {
    "pooling": "stochastic",
    "dropconnect": 0.5,
    "drop_block": 0.2,
    "activation": "elu",
    "seed": 3,
}
PLAIN_POOLING = (layers.MaxPooling2D, layers.AveragePooling2D)
ANY_POOLING = (*PLAIN_POOLING, StochasticPooling2D, FractionalMaxPooling2D)

# Those of the ordinary run.
QUICK = {"lenet5", "stochastic_pooling_cnn", "vgg11_cifar"}

every_kind = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[pytest.mark.slow(ci=True)] * (name not in QUICK)
        )
        for name in sorted(SMALL)
    ],
)
every_network = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (spec.parameters > 5e7))
        for name, spec in SPECS.items()
    ],
)


def small(name, side=None, channels=None, **options):
    """A network at its smallest size, or at another."""
    spec = SPECS[name]
    side = side or spec.smallest_size
    shape = (side, side, channels or spec.channels)
    options = {"num_classes": 3, **SMALL[name], **options}
    return create_model(name, input_shape=shape, **options)


@functools.cache
def plain(name):
    return small(name)


@functools.cache
def varied(name):
    return small(name, **ALL_AT_ONCE)


def images(model, count=2):
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def found(model, *kinds):
    return [layer for layer in model.layers if isinstance(layer, kinds)]


def count_parameters(layers):
    return sum(
        math.prod(variable.shape)
        for layer in layers
        for variable in layer.trainable_weights
    )


@every_network
def test_parameters_are_those_of_the_published_network(name):
    spec = SPECS[name]
    model = create_model(name)
    assert count_parameters(model.layers) == spec.parameters
    side = spec.input_size
    assert model.input_shape == (None, side, side, spec.channels)
    assert model.output_shape == (None, spec.num_classes)


def test_the_stochastic_network_has_the_weights_of_its_description():
    """Three times 64 filters of 5x5, and 4x4 positions that are read."""
    convolutions = 64 * (25 * 3 + 1) + 2 * 64 * (25 * 64 + 1)
    expected = convolutions + 10 * (4 * 4 * 64 + 1)
    assert SPECS["stochastic_pooling_cnn"].parameters == expected


@pytest.mark.parametrize(
    ("name", "positions"), [("alexnet", 6 * 6), ("vgg11", 7 * 7)]
)
def test_large_networks_have_their_parameters_in_two_dense_layers(
    name, positions
):
    units, model = 4096, plain(name)
    channels = model.get_layer("flatten").input.shape[-1]
    dense = [
        inputs * outputs + outputs
        for inputs, outputs in [
            (positions * channels, units),
            (units, units),
            (units, 1000),
        ]
    ]
    convolutions = count_parameters(found(model, layers.Conv2D))
    assert convolutions + sum(dense) == SPECS[name].parameters


@every_kind
def test_a_network_ends_in_logits(name):
    model = plain(name)
    head = model.layers[-1]
    assert head.name == "logits"
    assert head.activation is keras.activations.linear
    logits = keras.ops.convert_to_numpy(model(images(model)))
    assert logits.shape == (2, 3) and np.isfinite(logits).all()
    assert np.abs(logits.sum(axis=1) - 1).min() > 1e-3  # no softmax


@every_kind
def test_without_classes_a_network_ends_in_what_the_head_sees(name):
    model = small(name, num_classes=0)
    head = plain(name).get_layer("logits")
    assert "logits" not in [layer.name for layer in model.layers]
    assert model.output_shape == (None, head.kernel.shape[0])


@every_kind
def test_every_pooling_can_be_stochastic(name):
    def names(kinds, model):
        return [layer.name for layer in found(model, *kinds)]

    poolings = names(ANY_POOLING, plain(name))
    assert names([StochasticPooling2D], varied(name)) == poolings
    assert names(PLAIN_POOLING, varied(name)) == []


@every_kind
def test_every_pooling_that_shrinks_can_be_fractional(name):
    model = small(name, pooling="fractional")
    shrinking = [
        layer.name
        for layer in found(plain(name), *ANY_POOLING)
        if layer.strides != (1, 1) and layer.strides != 1
    ]
    fractional = found(model, FractionalMaxPooling2D)
    assert [layer.name for layer in fractional] == shrinking
    for layer in fractional:
        height = layer.input.shape[1]
        assert layer.output.shape[1] == math.floor(height / math.sqrt(2))
    logits = keras.ops.convert_to_numpy(model(images(model)))
    assert logits.shape == (2, 3) and np.isfinite(logits).all()


@pytest.mark.parametrize(
    ("pooling", "kind"),
    [("max", layers.MaxPooling2D), ("average", layers.AveragePooling2D)],
)
def test_the_stochastic_network_can_be_compared_with_other_poolings(
    pooling, kind
):
    own = plain("stochastic_pooling_cnn")
    assert len(found(own, StochasticPooling2D)) == 3
    other = small("stochastic_pooling_cnn", pooling=pooling)
    assert [type(x) for x in found(other, *ANY_POOLING)] == [kind] * 3


@every_kind
def test_connections_drop_in_hidden_layers_or_else_in_the_classifier(name):
    drops = found(varied(name), DropConnectDense)
    assert [x.name for x in drops] == WITH_HIDDEN.get(name, ["logits"])
    assert {layer.rate for layer in drops} == {0.5}
    assert not found(plain(name), DropConnectDense)


@every_kind
def test_blocks_drop_on_coarse_maps(name):
    drops = found(varied(name), DropBlock2D)
    assert drops and {layer.rate for layer in drops} == {0.2}
    assert not found(plain(name), DropBlock2D)


@every_kind
def test_the_activation_is_changed_everywhere(name):
    activations = found(varied(name), layers.Activation)
    assert {x.activation for x in activations} == {keras.activations.elu}
    own = "tanh" if name == "lenet5" else "relu"
    activations = {x.activation for x in found(plain(name), layers.Activation)}
    assert activations == {getattr(keras.activations, own)}


@every_kind
def test_every_random_layer_has_its_own_seed(name):
    kinds = (StochasticPooling2D, DropBlock2D, DropConnectDense, layers.Dropout)
    seeds = [layer.seed for layer in found(varied(name), *kinds)]
    assert len(seeds) > 2
    assert None not in seeds and len(set(seeds)) == len(seeds)


@every_kind
def test_a_varied_network_draws_in_training_and_not_at_inference(name):
    model = varied(name)
    x = images(model)

    def logits(training):
        return keras.ops.convert_to_numpy(model(x, training=training))

    first = logits(training=True)
    assert np.isfinite(first).all()
    assert any((logits(training=True) != first).any() for _ in range(3))
    np.testing.assert_array_equal(logits(False), logits(False))


@every_kind
def test_a_network_without_residuals_has_no_stochastic_depth(name):
    with pytest.raises(ValueError, match="because it has no residual branch"):
        small(name, stochastic_depth=0.1)


@pytest.mark.parametrize(
    "name", ["alexnet", "googlenet", "nin_cifar", "vgg11", "vgg11_cifar"]
)
def test_a_dropout_rate_outside_its_range_is_refused(name):
    with pytest.raises(ValueError, match="`dropout` must be in .*dropout=1.5"):
        small(name, dropout=1.5)


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("alexnet", {"dropout1": 0.5, "dropout2": 0.5}),
        ("vgg11", {"dropout1": 0.5, "dropout": 0.5}),
        ("nin_cifar", {"dropout1": 0.5, "dropout2": 0.5}),
        ("googlenet", {"dropout": 0.4}),
    ],
)
def test_dropout_is_where_the_paper_has_it(name, rates):
    drops = found(plain(name), layers.Dropout)
    assert {layer.name: layer.rate for layer in drops} == rates


@every_kind
def test_a_smaller_image_is_refused_with_the_smallest_size(name):
    side = SPECS[name].smallest_size
    with pytest.raises(ValueError, match=f"at least {side} pixels") as error:
        small(name, side=side - 1)
    assert "\n" not in str(error.value)


@every_kind
def test_the_smallest_size_is_no_larger_than_it_must_be(name):
    spec = SPECS[name]
    side = spec.smallest_size - 1

    def build(pooling):
        spec.build(
            name=name,
            num_classes=3,
            input_shape=(side, side, spec.channels),
            preprocessing=None,
            techniques=Techniques(pooling=pooling),
            **{**spec.kwargs, **SMALL[name]},
        )

    with pytest.raises(ValueError):
        build(None)
        build("fractional")


@pytest.mark.parametrize("name", ["notes_cnn", "lenet5"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_network_for_grey_images_takes_any_number_of_channels(name, channels):
    inside = small(name, channels=channels)
    outside = small(name, channels=channels, include_preprocessing=False)
    outside.set_weights(inside.get_weights())
    raw = images(inside)
    # Mean and deviation of MNIST's training images, of values in [0, 1].
    normalised = ((raw / 255 - 0.1307) / 0.3081).astype("float32")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(inside(raw)),
        keras.ops.convert_to_numpy(outside(normalised)),
        atol=0.01,
    )


# Sides and channels of maps as the papers have them, at the published size.
MAPS = {
    "alexnet": {
        "conv1": (55, 64),
        "pool1": (27, 64),
        "pool2": (13, 192),
        "pool5": (6, 256),
    },
    "googlenet": {
        "conv1": (112, 64),
        "norm1": (56, 64),
        "norm2": (56, 192),
        "inception3a": (28, 256),
        "inception3b": (28, 480),
        "inception4a": (14, 512),
        "inception4d": (14, 528),
        "inception4e": (14, 832),
        "inception5b": (7, 1024),
    },
    "lenet5": {"conv1": (28, 6), "pool1": (14, 6), "pool2": (5, 16)},
    "nin_cifar": {"pool1": (16, 96), "pool2": (8, 192)},
    "notes_cnn": {"conv1": (24, 10), "pool1": (12, 10), "pool2": (4, 20)},
    "stochastic_pooling_cnn": {
        "norm1": (16, 64),
        "norm2": (8, 64),
        "norm3": (4, 64),
    },
    "vgg11": {"pool1": (112, 64), "pool5": (7, 512)},
    "vgg11_cifar": {"pool1": (16, 64), "pool5": (1, 512)},
}


@every_kind
def test_maps_have_the_sizes_of_the_paper(name):
    model = small(name, side=SPECS[name].input_size)
    for layer, (side, channels) in MAPS[name].items():
        shape = model.get_layer(layer).output.shape
        assert shape == (None, side, side, channels)


def test_levels_of_googlenet_end_in_whole_modules():
    assert levels(small("googlenet", side=64)) == {
        "stride_2": "conv1_relu",
        "stride_4": "norm2",
        "stride_8": "inception3b",
        "stride_16": "inception4e",
        "stride_32": "inception5b",
    }


# As torchvision writes VGG with 11 layers: filters, and "M" for a pooling.
VGG11 = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
ALEXNET_TENSORS = {
    f"{module}.{kind}"
    for module in (
        *("features.0", "features.3", "features.6", "features.8"),
        *("features.10", "classifier.1", "classifier.4", "classifier.6"),
    )
    for kind in ("weight", "bias")
}


@pytest.fixture(scope="module")
def vgg11_state():
    """Random numbers as torchvision has them, of a map of 2x2 at the end."""
    rng = np.random.default_rng(0)
    state = {}

    def put(module, *shape):
        scale = math.sqrt(2 / math.prod(shape[1:]))
        kernel = rng.normal(scale=scale, size=shape)
        state[f"{module}.weight"] = kernel.astype("float32")
        state[f"{module}.bias"] = rng.normal(size=shape[0]).astype("float32")

    place, channels = 0, 3
    for entry in VGG11:
        if entry != "M":
            put(f"features.{place}", entry, channels, 3, 3)
            channels = entry
        place += 1 if entry == "M" else 2
    put("classifier.0", 16, 4 * channels)
    put("classifier.3", 16, 16)
    put("classifier.6", 5, 16)
    return state


@pytest.fixture
def load_vgg11(tmp_path, vgg11_state):
    """Builds a VGG from the state dict, changed as asked."""

    def load(side=64, **changes):
        path = tmp_path / "vgg.safetensors"
        save_file({**vgg11_state, **changes}, path)
        return create_model(
            "vgg11", weights=path, input_shape=(side, side, 3), units=16
        )

    return load


def test_a_flattened_map_of_pytorch_finds_its_weights(load_vgg11, vgg11_state):
    model = load_vgg11()
    assert model.output_shape == (None, 5)
    inner = keras.Model(
        model.input,
        [model.get_layer(x).output for x in ("pool5", "dense1")],
    )
    maps, outputs = map(keras.ops.convert_to_numpy, inner(images(model)))
    flat = maps.transpose(0, 3, 1, 2).reshape(2, -1)  # channels first
    expected = flat @ vgg11_state["classifier.0.weight"].T
    expected += vgg11_state["classifier.0.bias"]
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-3)


def test_weights_for_another_size_are_refused(load_vgg11):
    with pytest.raises(ValueError, match="dense1/kernel .*must have the shape"):
        load_vgg11(side=96)


def test_a_dense_layer_for_no_such_map_is_refused(load_vgg11):
    odd = {"classifier.0.weight": np.zeros((16, 30), "float32")}
    with pytest.raises(ValueError, match=r"dense1/kernel .*holds \(30, 16\)"):
        load_vgg11(**odd)


def test_alexnet_knows_the_names_of_torchvision():
    name = SPECS["alexnet"].source_names
    modules = {name(x.name) for x in plain("alexnet").layers if x.weights}
    assert {f"{m}.{k}" for m in modules for k in ("weight", "bias")} == (
        ALEXNET_TENSORS
    )


def narrow_classifier(torch, inputs, *, drop_first):
    """torchvision's classifiers, with 16 units instead of 4096."""
    nn = torch.nn
    first = [nn.Linear(inputs, 16), nn.ReLU()]
    second = [nn.Linear(16, 16), nn.ReLU()]
    if drop_first:
        hidden = [nn.Dropout(), *first, nn.Dropout(), *second]
    else:
        hidden = [*first, nn.Dropout(), *second, nn.Dropout()]
    return nn.Sequential(*hidden, nn.Linear(16, 5))


def torchvision_network(name, torch):
    torchvision = pytest.importorskip("torchvision")
    network = getattr(torchvision.models, name)(num_classes=5)
    inputs = 9216 if name == "alexnet" else 25088
    network.classifier = narrow_classifier(
        torch, inputs, drop_first=name == "alexnet"
    )
    return network


def cifar_network(torch):
    """VGG for CIFAR as a flat sequence, with statistics as after training."""
    nn, steps, channels = torch.nn, [], 3
    for entry in VGG11:
        if entry == "M":
            steps.append(nn.MaxPool2d(2))
            continue
        norm = nn.BatchNorm2d(entry)
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        steps += [nn.Conv2d(channels, entry, 3, padding=1), norm, nn.ReLU()]
        channels = entry
    network = nn.Sequential()
    network.add_module("features", nn.Sequential(*steps))
    network.add_module("flatten", nn.Flatten())
    network.add_module("classifier", nn.Linear(channels, 5))
    return network


@pytest.mark.torch
@pytest.mark.parametrize("name", ["alexnet", "vgg11", "vgg16", "vgg11_cifar"])
def test_weights_of_torchvision_give_its_logits(name, tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    spec = SPECS[name]
    is_cifar = name.endswith("cifar")
    network = (
        cifar_network(torch) if is_cifar else torchvision_network(name, torch)
    ).eval()
    path = tmp_path / "network.safetensors"
    state = network.state_dict().items()
    save_file({key: value.numpy().copy() for key, value in state}, path)
    options = {} if is_cifar else {"units": 16}
    model = create_model(
        name, weights=path, include_preprocessing=False, **options
    )
    side = spec.input_size
    x = np.random.default_rng(1).normal(size=(2, side, side, 3))
    x = x.astype("float32")
    with torch.no_grad():
        expected = network(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    logits = keras.ops.convert_to_numpy(model(x))
    scale = float(expected.abs().max())
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4 * scale)
