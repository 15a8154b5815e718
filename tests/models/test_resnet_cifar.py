import keras
import numpy as np
import pytest

from dropzoo.layers import (
    DropBlock2D,
    DropConnectDense,
    StochasticDepth,
    StochasticResidual,
)
from dropzoo.models import create_model, model_info
from dropzoo.models.freezing import levels

PUBLISHED = {
    20: 269_722,
    32: 464_154,
    44: 658_586,
    56: 853_018,
    110: 1_727_962,
    1202: 19_421_274,
}


def create(depth=8, **options):
    """A ResNet of any depth for images of 16x16."""
    options = {"num_classes": 3, "input_shape": (16, 16, 3), **options}
    return create_model("resnet20_cifar", depth=depth, **options)


def photos(count=2, side=16):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side, 3)).astype("float32")


def layers_of(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def parameters(depth):
    """From the paper: 3x3 convolutions, each with a scale and a shift."""
    blocks = (depth - 2) // 6

    def convolution(channels, filters):
        return 9 * channels * filters + 2 * filters

    total = convolution(3, 16) + 2 * blocks * convolution(16, 16)
    for filters in (32, 64):
        total += convolution(filters // 2, filters)
        total += (2 * blocks - 1) * convolution(filters, filters)
    return total + 64 * 10 + 10


@pytest.mark.parametrize("depth", PUBLISHED)
def test_the_record_has_the_published_parameters(depth):
    record = model_info(f"resnet{depth}_cifar")
    assert record.parameters == parameters(depth) == PUBLISHED[depth]


@pytest.mark.parametrize(
    "depth",
    [20]
    + [
        pytest.param(x, marks=pytest.mark.slow) for x in (32, 44, 56, 110, 1202)
    ],
)
def test_parameters_are_those_of_the_paper(depth):
    model = create_model(f"resnet{depth}_cifar")
    trained = sum(np.prod(v.shape) for v in model.trainable_variables)
    assert trained == PUBLISHED[depth]


def test_it_ends_in_logits_of_ten_classes():
    model = create_model("resnet20_cifar")
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 10)
    assert model.layers[-1].name == "logits"
    assert model.layers[-1].activation is keras.activations.linear


def test_without_classes_it_ends_in_pooled_features():
    assert create(num_classes=0, dropout=0.5).output_shape == (None, 64)


def test_every_level_of_resolution_is_there():
    found = levels(create(14))
    assert list(found) == ["stride_2", "stride_4"]
    assert found["stride_4"] == "stage3_block2_relu2"


def convolve(x, kernel, strides):
    """A 3x3 convolution with a pixel of zeros on each side, in NumPy."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, columns = (size - 2 for size in x.shape[1:3])
    taps = [
        x[:, i : i + rows : strides, j : j + columns : strides] @ kernel[i, j]
        for i in range(3)
        for j in range(3)
    ]
    return sum(taps)


@pytest.mark.parametrize("side", [16, 15])
def test_a_block_that_halves_the_map_computes_what_the_paper_says(side):
    model = create(input_shape=(side, side, 3))
    rng = np.random.default_rng(0)
    x = np.maximum(rng.normal(size=(2, side, side, 16)), 0).astype("float32")
    inputs = model.get_layer("stage1_block1_relu2").output
    block = keras.Model(inputs, model.get_layer("stage2_block1_relu2").output)

    # New batch normalization divides by sqrt(1 + epsilon).
    scale = 1 / np.sqrt(1 + 1e-5)
    kernels = [
        np.asarray(model.get_layer(f"stage2_block1_conv{n}").kernel)
        for n in (1, 2)
    ]
    hidden = np.maximum(convolve(x, kernels[0], 2) * scale, 0)
    branch = convolve(hidden, kernels[1], 1) * scale
    shortcut = np.concatenate([x[:, ::2, ::2]] + [0 * x[:, ::2, ::2]], axis=-1)
    expected = np.maximum(shortcut + branch, 0)
    got = keras.ops.convert_to_numpy(block(x))
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_no_shortcut_has_weights():
    model = create()
    weighted = {layer.name for layer in model.layers if layer.weights}
    convolutions = {"stem_conv"} | {
        f"stage{stage}_block1_conv{n}" for stage in (1, 2, 3) for n in (1, 2)
    }
    assert weighted - {"logits"} == convolutions | {
        name.replace("conv", "bn") for name in convolutions
    }


def test_only_layers_of_keras_are_needed_for_constant_depth():
    modules = {type(layer).__module__ for layer in create().layers}
    assert {module.split(".")[0] for module in modules} == {"keras"}


@pytest.mark.parametrize(
    ("depth", "skip", "kind"),
    [
        (20, False, StochasticDepth),
        (14, True, StochasticResidual),
        pytest.param(110, True, StochasticResidual, marks=pytest.mark.slow),
    ],
)
def test_the_expected_depth_is_that_of_the_paper(depth, skip, kind):
    model = create(depth, stochastic_depth=0.5, skip=skip)
    rates = [layer.rate for layer in layers_of(model, kind)]
    blocks = (depth - 2) // 2
    expected = (3 * blocks - 1) / 4  # 40.25 for 110 layers
    assert sum(1 - rate for rate in rates) == pytest.approx(expected)
    assert rates == sorted(rates) and rates[-1] == 0.5


@pytest.mark.parametrize("skip", [False, True])
def test_every_block_draws_its_own_gate(skip):
    model = create(20, stochastic_depth=0.5, skip=skip, seed=3)
    kinds = (StochasticDepth, StochasticResidual)
    seeds = {layer.seed for layer in layers_of(model, kinds)}
    assert len(seeds) == 9 and None not in seeds


@pytest.mark.parametrize(
    "rate", [pytest.param(0.0, marks=pytest.mark.slow(ci=True)), 0.5]
)
def test_blocks_that_skip_are_the_plain_network_at_inference(rate):
    plain = create(stochastic_depth=rate)
    skipping = create(stochastic_depth=rate, skip=True)
    assert [w.shape for w in plain.weights] == [
        w.shape for w in skipping.weights
    ]
    rng = np.random.default_rng(1)
    plain.set_weights(
        [rng.uniform(0.1, 0.3, w.shape) for w in plain.get_weights()]
    )
    skipping.set_weights(plain.get_weights())
    expected, got = plain(photos()), skipping(photos())
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_skipped_branches_are_not_computed():
    model = create(14, stochastic_depth=0.5, skip=True, seed=1)
    blocks = layers_of(model, StochasticResidual)
    norms = [
        layer
        for block in blocks
        for layer in block.branch.layers
        if layer.name.endswith("bn1")
    ]
    before = [keras.ops.convert_to_numpy(x.moving_mean) for x in norms]
    model(photos(), training=True)
    after = [keras.ops.convert_to_numpy(x.moving_mean) for x in norms]
    moved = [bool((a != b).any()) for a, b in zip(before, after, strict=True)]
    assert len(moved) == 6 and {True, False} == set(moved)


@pytest.mark.slow(ci=True)
def test_a_network_that_skips_learns():
    model = create(8, stochastic_depth=0.5, skip=True, seed=1)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.optimizer.build(model.trainable_variables)  # else it traces twice
    images, labels = photos(6), np.arange(6) % 3
    losses = model.fit(images, labels, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_blocks_are_dropped_on_the_coarser_maps():
    model = create(drop_block=0.1, seed=1)
    names = {layer.name for layer in layers_of(model, DropBlock2D)}
    assert names == {"stage2_block1_drop_block", "stage3_block1_drop_block"}


def test_other_techniques_are_there():
    model = create(dropconnect=0.3, activation="gelu", dropout=0.2)
    (head,) = layers_of(model, DropConnectDense)
    assert head.name == "logits" and head.rate == 0.3
    assert model.get_layer("stage1_block1_relu1").activation is (
        keras.activations.gelu
    )
    assert model.get_layer("dropout").rate == 0.2


def test_pooling_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="no `pooling`, because it has no"):
        create(pooling="max")


@pytest.mark.parametrize("depth", [2, 21, 0, -4])
def test_a_depth_that_makes_no_whole_blocks_is_refused(depth):
    with pytest.raises(ValueError, match=rf"`depth` must .*depth={depth}"):
        create(depth)
