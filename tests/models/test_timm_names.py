"""Names of timm's state dicts, by the layout that timm publishes."""

import functools
import math

import numpy as np
import pytest
from safetensors.numpy import save_file

from dropzoo.models import create_model, model_info
from dropzoo.models.timm_names import efficientnet_name, timm_name

# Repeats of each stage of timm's networks.
REPEATS = {
    "efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1),
    "mobilenet_v2": (1, 2, 3, 4, 3, 3, 1),
}
THEIRS = {
    "efficientnet_lite0": "tf_efficientnet_lite0",
    "mobilenet_v2": "mobilenetv2_100",
}
SMALL = {"input_shape": (32, 32, 3), "num_classes": 3}
every_network = pytest.mark.parametrize(
    "name",
    [
        "efficientnet_lite0",
        pytest.param("mobilenet_v2", marks=pytest.mark.slow(ci=True)),
    ],
)


def modules(repeats):
    """Modules with weights, as timm names them."""
    yield from ("conv_stem", "bn1")
    for stage, count in enumerate(repeats):
        for index in range(count):
            block = f"blocks.{stage}.{index}"
            parts = ("conv_dw", "bn1", "conv_pw", "bn2")
            if stage:
                parts = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
            yield from (f"{block}.{part}" for part in parts)
    yield from ("conv_head", "bn2", "classifier")


@pytest.fixture(scope="module")
def plain():
    """Builds a network without a file, once."""
    return functools.cache(lambda name: create_model(name, **SMALL))


@every_network
def test_every_layer_has_its_module(plain, name):
    layers = plain(name).layers
    found = [timm_name(layer.name) for layer in layers if layer.weights]
    assert found == list(modules(REPEATS[name]))


def test_layers_of_an_efficientnet_of_keras_have_their_modules():
    pairs = {
        "stem_conv": "conv_stem",
        "block1a_dwconv": "blocks.0.0.conv_dw",
        "block1a_bn": "blocks.0.0.bn1",
        "block1a_se_reduce": "blocks.0.0.se.conv_reduce",
        "block1a_project_conv": "blocks.0.0.conv_pw",
        "block1a_project_bn": "blocks.0.0.bn2",
        "block2b_expand_conv": "blocks.1.1.conv_pw",
        "block2b_expand_bn": "blocks.1.1.bn1",
        "block2b_dwconv": "blocks.1.1.conv_dw",
        "block2b_bn": "blocks.1.1.bn2",
        "block2b_se_expand": "blocks.1.1.se.conv_expand",
        "block2b_project_bn": "blocks.1.1.bn3",
        "top_bn": "bn2",
        "logits": "classifier",
    }
    assert {layer: efficientnet_name(layer) for layer in pairs} == pairs


def state_of(model, name_of, random_state):
    """A random state dict that timm could have written for a model."""
    layout = {}
    parts = {"kernel": "weight", "gamma": "weight", "beta": "bias"}
    parts |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    for layer in model.layers:
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if len(shape) == 4:
                depthwise = "depthwise" in layer.name or "dw" in layer.name
                order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
                shape = tuple(shape[axis] for axis in order)
            part = parts.get(variable.name, variable.name)
            layout[f"{name_of(layer.name)}.{part}"] = shape[:: _turn(shape)]
    return random_state(layout)


def _turn(shape):
    return -1 if len(shape) == 2 else 1


@every_network
def test_either_project_s_file_gives_the_same_network(
    plain, name, tmp_path, random_state
):
    for number, table in enumerate([model_info(name).source_names, timm_name]):
        state = state_of(plain(name), table, random_state)
        save_file(state, tmp_path / f"{number}.safetensors")
    first, second = (
        create_model(name, weights=tmp_path / f"{n}.safetensors", **SMALL)
        for n in (0, 1)
    )
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert any(
        not np.array_equal(one, other)
        for one, other in zip(first.weights, plain(name).weights, strict=True)
    )


def test_a_file_of_neither_project_is_refused_for_the_closer_one(
    plain, tmp_path, random_state
):
    state = state_of(plain("mobilenet_v2"), timm_name, random_state)
    del state["blocks.2.0.conv_dw.weight"]
    save_file(state, tmp_path / "w.safetensors")
    missing = "missing tensors: 1, the first stage3_block1_depthwise_conv"
    with pytest.raises(ValueError, match=missing):
        create_model(
            "mobilenet_v2", weights=tmp_path / "w.safetensors", **SMALL
        )


@pytest.mark.torch
@every_network
def test_weights_of_timm_give_its_logits(name, tmp_path):
    torch = pytest.importorskip("torch")
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model(THEIRS[name]).eval()
    count = sum(math.prod(x.shape) for x in network.parameters())
    assert count == model_info(name).parameters
    torch.save(network.state_dict(), tmp_path / "w.pth")
    images = torch.randn((2, 3, 97, 97))
    with torch.no_grad():
        expected = network(images).numpy()
    model = create_model(
        name,
        weights=tmp_path / "w.pth",
        input_shape=(97, 97, 3),
        include_preprocessing=False,
    )
    found = np.asarray(model(images.permute(0, 2, 3, 1).numpy()))
    np.testing.assert_allclose(found, expected, atol=1e-3)
