"""State dicts of torchvision and timm in networks of keras.applications."""

import functools

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from dropzoo.models import create_model, model_info

NETWORKS = {
    "densenet121": ("torchvision", "densenet121"),
    "efficientnet_b0": ("timm", "tf_efficientnet_b0"),
}
PARTS = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "bias": "bias",
}
SIZE = {"input_shape": (32, 32, 3), "num_classes": 3}
every_network = pytest.mark.parametrize(
    "name",
    [
        pytest.param("densenet121", marks=pytest.mark.slow),
        pytest.param("efficientnet_b0", marks=pytest.mark.slow(ci=True)),
    ],
)


@functools.cache
def plain(name):
    return create_model(name, **SIZE)


def variables(name):
    """Variables of a network and what PyTorch calls them."""
    names = model_info(name).source_names
    for layer in plain(name).layers:
        for variable in layer.weights:
            yield layer, variable, f"{names(layer.name)}.{PARTS[variable.name]}"


def axes(layer, array):
    """Where PyTorch has the axes of an array of Keras."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return (2, 3, 0, 1)
    return {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}[len(array.shape)]


@every_network
def test_every_variable_finds_its_tensor(name, tmp_path, random_state):
    arrays = [
        (key, np.empty(variable.shape).transpose(axes(layer, variable)))
        for layer, variable, key in variables(name)
    ]
    state = random_state({key: array.shape for key, array in arrays})
    assert len(state) == len(arrays)  # no name stands twice
    save_file(state, tmp_path / "w.safetensors")
    model = create_model(name, weights=tmp_path / "w.safetensors", **SIZE)
    for (layer, _, key), weight in zip(
        variables(name), model.get_weights(), strict=True
    ):
        turned = weight.transpose(axes(layer, weight))
        np.testing.assert_array_equal(turned, state[key])


@pytest.mark.torch
@every_network
@pytest.mark.parametrize("side", [64, 65])
def test_weights_give_the_logits_of_the_original(name, side, tmp_path):
    torch = pytest.importorskip("torch")
    project, original = NETWORKS[name]
    project = pytest.importorskip(project)
    is_timm = project.__name__ == "timm"
    build = project.create_model if is_timm else project.models.get_model
    torch.manual_seed(0)
    network = build(original).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    images = torch.randn((2, 3, side, side))
    with torch.no_grad():
        expected = network(images).numpy()
    model = create_model(
        name,
        weights=tmp_path / "w.pth",
        input_shape=(side, side, 3),
        include_preprocessing=False,
    )
    found = np.asarray(model(images.permute(0, 2, 3, 1).numpy()))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(expected).max() > 0.1
