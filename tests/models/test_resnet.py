"""Against the layout that torchvision publishes, in NumPy and in PyTorch."""

import functools
import math

import numpy as np
import pytest
from safetensors.numpy import save_file

from dropzoo.layers import DropBlock2D, StochasticDepth
from dropzoo.models import create_model, model_info
from dropzoo.models.levels import levels
from dropzoo.models.resnet import SPECS, build, source_name
from dropzoo.models.techniques import Techniques
from dropzoo.models.weights import load_weights

NAMES = [spec.name for spec in SPECS]
SMALL = (1, 1, 1, 1)  # blocks of each stage
NORM = ("weight", "bias", "running_mean", "running_var")


def layout(repeats, bottleneck, classes=1000):
    """Names and shapes of torchvision's state dict."""
    shapes = {}

    def convolution(name, norm, *shape):
        shapes[f"{name}.weight"] = shape
        shapes.update({f"{norm}.{part}": shape[:1] for part in NORM})
        shapes[f"{norm}.num_batches_tracked"] = ()

    convolution("conv1", "bn1", 64, 3, 7, 7)
    inputs = 64
    for stage, count in enumerate(repeats):
        width = 64 * 2**stage
        outputs = 4 * width if bottleneck else width
        for index in range(count):
            block = f"layer{stage + 1}.{index}"
            kernels = [(width, inputs, 3), (width, width, 3)]
            if bottleneck:
                kernels = [
                    (width, inputs, 1),
                    (width, width, 3),
                    (outputs, width, 1),
                ]
            for number, (new, old, side) in enumerate(kernels, start=1):
                names = f"{block}.conv{number}", f"{block}.bn{number}"
                convolution(*names, new, old, side, side)
            if index == 0 and (stage > 0 or inputs != outputs):
                names = f"{block}.downsample.0", f"{block}.downsample.1"
                convolution(*names, outputs, inputs, 1, 1)
            inputs = outputs
    shapes["fc.weight"], shapes["fc.bias"] = (classes, inputs), (classes,)
    return shapes


def logits_by_hand(state, image, ops, bottleneck):
    """What torchvision computes for an image `(3, height, width)`."""

    def block(x, name, stride):
        strides = (1, stride, 1) if bottleneck else (stride, 1)
        y = x
        for number, step in enumerate(strides, start=1):
            weight = state[f"{name}.conv{number}.weight"]
            y = ops.convolve(y, weight, None, step, weight.shape[2] // 2)
            y = ops.normalize(y, state, f"{name}.bn{number}")
            y = y if number == len(strides) else np.maximum(y, 0)
        if f"{name}.downsample.0.weight" in state:
            weight = state[f"{name}.downsample.0.weight"]
            x = ops.convolve(x, weight, stride=stride)
            x = ops.normalize(x, state, f"{name}.downsample.1")
        return np.maximum(x + y, 0)

    x = ops.convolve(image, state["conv1.weight"], stride=2, padding=3)
    x = np.maximum(ops.normalize(x, state, "bn1"), 0)
    x = ops.max_pool(x, padding=1)
    for stage in range(4):
        x = block(x, f"layer{stage + 1}.0", 2 if stage else 1)
    return state["fc.weight"] @ x.mean((1, 2)) + state["fc.bias"]


def small(bottleneck, classes=5, side=64, **techniques):
    """A network of one block a stage, without normalisation."""
    return build(
        name="small",
        num_classes=classes,
        input_shape=(side, side, 3),
        preprocessing=None,
        techniques=Techniques(**techniques),
        repeats=SMALL,
        bottleneck=bottleneck,
    )


def trained(model):
    return sum(math.prod(x.shape) for x in model.trainable_variables)


@pytest.mark.parametrize("name", NAMES)
def test_the_layout_of_torchvision_has_the_published_parameters(name):
    spec = model_info(name)
    shapes = layout(**spec.kwargs)
    counted = [
        math.prod(shape)
        for key, shape in shapes.items()
        if "running" not in key and "num_batches" not in key
    ]
    assert sum(counted) == spec.parameters


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name != "resnet18"))
        for name in NAMES
    ],
)
def test_each_variable_has_its_tensor_in_the_layout(name):
    spec = model_info(name)
    model = create_model(name, input_shape=(32, 32, 3))
    assert trained(model) == spec.parameters
    shapes = layout(**spec.kwargs)
    named = {source_name(x.name) for x in model.layers if x.weights}
    assert named == {key.rpartition(".")[0] for key in shapes}


@pytest.mark.parametrize(
    "bottleneck", [pytest.param(False, marks=pytest.mark.slow(ci=True)), True]
)
def test_logits_are_those_of_the_formula(
    tmp_path, numpy_layers, random_state, bottleneck
):
    state = random_state(layout(SMALL, bottleneck, classes=5))
    save_file(state, tmp_path / "w.safetensors")
    model = small(bottleneck, side=37)  # odd, where paddings tell themselves
    load_weights(model, model_info("resnet18"), tmp_path / "w.safetensors")
    image = np.random.default_rng(1).normal(size=(37, 37, 3)).astype("float32")
    logits = np.asarray(model(image[None]))[0]
    expected = logits_by_hand(
        state, image.transpose(2, 0, 1), numpy_layers, bottleneck
    )
    np.testing.assert_allclose(logits, expected, atol=1e-3)


@pytest.mark.parametrize(
    "bottleneck", [False, pytest.param(True, marks=pytest.mark.slow(ci=True))]
)
def test_depth_drops_grow_and_blocks_are_dropped_where_maps_are_coarse(
    bottleneck,
):
    model = small(bottleneck, stochastic_depth=0.4, drop_block=0.1, seed=1)
    rates = [x.rate for x in model.layers if isinstance(x, StochasticDepth)]
    np.testing.assert_allclose(rates, [0.1, 0.2, 0.3, 0.4])
    dropping = [x.name for x in model.layers if isinstance(x, DropBlock2D)]
    assert dropping == ["stage3_block1_drop_block", "stage4_block1_drop_block"]


@functools.cache
def plain():
    return small(bottleneck=True)


def test_every_stage_is_a_level():
    assert tuple(levels(plain())) == SPECS[0].levels


def test_the_3x3_convolution_of_a_bottleneck_has_the_stride():
    strides = {
        number: plain().get_layer(f"stage2_block1_conv{number}").strides
        for number in (1, 2, 3)
    }
    assert strides == {1: (1, 1), 2: (2, 2), 3: (1, 1)}


def test_the_activation_and_the_pooling_can_be_others():
    model = small(False, activation="gelu", pooling="average")
    kinds = {type(layer).__name__ for layer in model.layers}
    assert "AveragePooling2D" in kinds and "MaxPooling2D" not in kinds
    assert model.get_layer("stage1_block1_relu").activation.__name__ == "gelu"


def test_a_file_of_another_depth_is_refused(tmp_path, random_state):
    state = random_state(layout((1, 1, 1, 2), False, classes=5))
    save_file(state, tmp_path / "w.safetensors")
    model = small(bottleneck=False)
    before = [x.tobytes() for x in model.get_weights()]
    with pytest.raises(ValueError, match=r"unknown .*10.*first layer4\.1\.bn1"):
        load_weights(model, model_info("resnet18"), tmp_path / "w.safetensors")
    assert [x.tobytes() for x in model.get_weights()] == before


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "theirs"),
    [("resnet18", "resnet18"), ("resnet50_v1_5", "resnet50")],
)
def test_weights_of_torchvision_give_its_logits(name, theirs, tmp_path):
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    network = torchvision.models.get_model(theirs).eval()
    state = network.state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert shapes == layout(**model_info(name).kwargs)
    torch.save(state, tmp_path / "w.pth")
    model = create_model(
        name,
        weights=tmp_path / "w.pth",
        input_shape=(97, 97, 3),
        include_preprocessing=False,
    )
    images = torch.randn((2, 3, 97, 97))
    with torch.no_grad():
        expected = network(images).numpy()
    found = np.asarray(model(images.permute(0, 2, 3, 1).numpy()))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=1e-3 * max(1, scale))
