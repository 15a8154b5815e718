"""Against the layout that torchvision publishes, in NumPy and in PyTorch."""

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from dropzoo.layers import DropBlock2D
from dropzoo.models import create_model, model_info
from dropzoo.models.weights import load_weights

# As torchvision writes them: the first convolution, then squeezed and expanded
# channels of each fire module, "M" for a pooling.
FIRES = [(16, 64), (32, 128), (48, 192), (64, 256)]
FIRST = {"squeezenet1_0": (96, 7), "squeezenet1_1": (64, 3)}
FEATURES = {
    "squeezenet1_0": ["M", 0, 0, 1, "M", 1, 2, 2, 3, "M", 3],
    "squeezenet1_1": ["M", 0, 0, "M", 1, 1, "M", 2, 2, 3, 3],
}
every_version = pytest.mark.parametrize("name", sorted(FEATURES))


def fires(name):
    """Places of the fire modules, and their channels; `None` for poolings."""
    for place, step in enumerate(FEATURES[name], start=2):
        yield place, None if step == "M" else FIRES[step]


def layout(name, classes=1000):
    """Names and shapes of torchvision's state dict."""
    inputs, side = FIRST[name]
    kernels = {"features.0": (inputs, 3, side, side)}
    for place, channels in fires(name):
        if channels is not None:
            squeezed, expanded = channels
            fire = f"features.{place}"
            kernels[f"{fire}.squeeze"] = (squeezed, inputs, 1, 1)
            kernels[f"{fire}.expand1x1"] = (expanded, squeezed, 1, 1)
            kernels[f"{fire}.expand3x3"] = (expanded, squeezed, 3, 3)
            inputs = 2 * expanded
    kernels["classifier.1"] = (classes, inputs, 1, 1)
    return {
        f"{layer}.{part}": shape if part == "weight" else shape[:1]
        for layer, shape in kernels.items()
        for part in ("weight", "bias")
    }


def maps_by_hand(state, image, ops, name):
    """The last maps before the classifier, for `(3, height, width)`."""

    def convolve(x, layer, stride=1, padding=0):
        weight, bias = state[f"{layer}.weight"], state[f"{layer}.bias"]
        return np.maximum(ops.convolve(x, weight, bias, stride, padding), 0)

    x = convolve(image, "features.0", stride=2)
    for place, channels in fires(name):
        if channels is None:
            # Rounded up: the last window may hang over the end.
            over = [(0, (side + 1) % 2) for side in x.shape[1:]]
            x = ops.max_pool(np.pad(x, ((0, 0), *over)))
        else:
            fire = f"features.{place}"
            x = convolve(x, f"{fire}.squeeze")
            sides = (
                convolve(x, f"{fire}.expand1x1"),
                convolve(x, f"{fire}.expand3x3", padding=1),
            )
            x = np.concatenate(sides)
    return x


@pytest.fixture(scope="module")
def build():
    def build(name, side=64, **options):
        options = {"num_classes": 5, "include_preprocessing": False, **options}
        return create_model(name, input_shape=(side, side, 3), **options)

    return build


@every_version
def test_parameters_are_those_published(name):
    spec = model_info(name)
    assert create_model(name).count_params() == spec.parameters
    sizes = [np.prod(shape) for shape in layout(name).values()]
    assert sum(sizes) == spec.parameters


@pytest.mark.parametrize(
    ("name", "side"),
    # Sides whose maps are even or odd before each pooling.
    [
        ("squeezenet1_1", 66),
        *(
            pytest.param(*case, marks=pytest.mark.slow(ci=True))
            for case in (
                ("squeezenet1_1", 63),
                ("squeezenet1_1", 64),
                ("squeezenet1_0", 66),
            )
        ),
    ],
)
def test_maps_and_logits_are_those_of_the_formula(
    build, tmp_path, numpy_layers, random_state, name, side
):
    state = random_state(layout(name, classes=5))
    save_file(state, tmp_path / "w.safetensors")
    model = build(name, side)
    load_weights(model, model_info(name), tmp_path / "w.safetensors")
    shape = (side, side, 3)
    image = np.random.default_rng(1).normal(size=shape).astype("float32")
    pooled = model.get_layer("features")
    both = keras.Model(model.input, [pooled.input, model.output])
    maps, logits = (np.asarray(x)[0] for x in both(image[None]))
    expected = maps_by_hand(state, image.transpose(2, 0, 1), numpy_layers, name)
    np.testing.assert_allclose(maps.transpose(2, 0, 1), expected, atol=1e-4)
    weight = state["classifier.1.weight"][:, :, 0, 0]
    by_hand = weight @ expected.mean((1, 2)) + state["classifier.1.bias"]
    np.testing.assert_allclose(logits, by_hand, atol=1e-4)


@every_version
def test_the_smallest_input_leaves_one_position(build, name):
    side = model_info(name).smallest_size
    maps = build(name, side).get_layer("features").input
    assert maps.shape[1:3] == (1, 1)
    with pytest.raises(ValueError, match=f"at least {side} pixels"):
        build(name, side - 1)


def test_blocks_are_dropped_after_the_last_pooling(build):
    model = build("squeezenet1_1", drop_block=0.1, seed=1)
    dropping = [x.name for x in model.layers if isinstance(x, DropBlock2D)]
    assert dropping == [f"fire{n}_drop_block" for n in (6, 7, 8, 9)]


def test_the_pooling_and_the_activation_can_be_others(build):
    model = build("squeezenet1_1", pooling="average", activation="elu")
    kinds = {type(layer).__name__ for layer in model.layers}
    assert "AveragePooling2D" in kinds and "MaxPooling2D" not in kinds
    assert model.get_layer("fire2_squeeze_relu").activation.__name__ == "elu"


def test_a_file_of_the_other_version_is_refused(build, tmp_path, random_state):
    state = random_state(layout("squeezenet1_0", classes=5))
    save_file(state, tmp_path / "w.safetensors")
    model = build("squeezenet1_1")
    before = [x.tobytes() for x in model.get_weights()]
    with pytest.raises(ValueError, match="not for squeezenet1_1; missing"):
        load_weights(
            model, model_info("squeezenet1_1"), tmp_path / "w.safetensors"
        )
    assert [x.tobytes() for x in model.get_weights()] == before


@pytest.mark.torch
@every_version
def test_weights_of_torchvision_give_its_maps(build, name, tmp_path):
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    network = torchvision.models.get_model(name).eval()
    state = network.state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert shapes == layout(name)
    torch.save(state, tmp_path / "w.pth")
    model = build(name, 96, num_classes=1000, weights=tmp_path / "w.pth")
    images = torch.randn((2, 3, 96, 96))
    with torch.no_grad():
        maps = network.classifier[1](network.features(images))
        expected = maps.mean((2, 3)).numpy()  # without the ReLU between
    found = np.asarray(model(images.permute(0, 2, 3, 1).numpy()))
    np.testing.assert_allclose(found, expected, atol=1e-3)
