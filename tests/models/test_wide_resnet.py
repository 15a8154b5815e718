import keras
import numpy as np
import pytest

from dropzoo.layers import DropBlock2D, StochasticDepth, StochasticResidual
from dropzoo.models import create_model, model_info
from dropzoo.models.freezing import levels

PUBLISHED = {(16, 8): 10_961_370, (28, 10): 36_479_194, (40, 4): 8_949_210}


def create(depth=10, width=1, **options):
    """A Wide ResNet of any shape for images of 16x16."""
    options = {"num_classes": 3, "input_shape": (16, 16, 3), **options}
    return create_model("wrn16_8", depth=depth, width=width, **options)


def photos(count=2, side=16):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side, 3)).astype("float32")


def parameters(depth, width):
    """From the paper: scale and shift before each 3x3 convolution."""
    blocks, channels = (depth - 4) // 6, 16
    total = 9 * 3 * channels
    for filters in (16 * width, 32 * width, 64 * width):
        if filters != channels:
            total += channels * filters  # the projection
        total += 2 * channels + 9 * channels * filters
        total += (2 * blocks - 1) * (2 * filters + 9 * filters * filters)
        channels = filters
    return total + 2 * channels + 10 * channels + 10


@pytest.mark.parametrize(("depth", "width"), PUBLISHED)
def test_the_record_has_the_published_parameters(depth, width):
    record = model_info(f"wrn{depth}_{width}")
    expected = PUBLISHED[depth, width]
    assert record.parameters == parameters(depth, width) == expected


@pytest.mark.parametrize(
    ("depth", "width"),
    [pytest.param(16, 8, marks=pytest.mark.slow(ci=True))]
    + [pytest.param(*x, marks=pytest.mark.slow) for x in ((28, 10), (40, 4))],
)
def test_parameters_are_those_of_the_paper(depth, width):
    model = create_model(f"wrn{depth}_{width}")
    trained = sum(np.prod(v.shape) for v in model.trainable_variables)
    assert trained == PUBLISHED[depth, width]


def test_parameters_of_a_narrow_network_follow_the_formula():
    model = create(16, 1, num_classes=10)
    trained = sum(np.prod(v.shape) for v in model.trainable_variables)
    assert trained == parameters(16, 1)


def test_it_ends_in_logits_and_has_its_levels():
    model = create()
    assert model.output_shape == (None, 3)
    assert model.layers[-1].activation is keras.activations.linear
    found = levels(model)
    assert list(found) == ["stride_2", "stride_4"]
    assert found["stride_4"] == "head_relu"


def test_without_classes_it_ends_in_pooled_features():
    assert create(width=2, num_classes=0).output_shape == (None, 128)


def inputs_of(layer):
    """Names of the layers that a layer reads."""
    return [
        tensor._keras_history.operation.name
        for tensor in layer._inbound_nodes[0].input_tensors
    ]


def test_branch_and_shortcut_read_the_same_activated_map_where_it_changes():
    model = create(16)
    for name in ("conv1_pad", "shortcut_conv"):
        layer = model.get_layer(f"stage2_block1_{name}")
        assert inputs_of(layer) == ["stage2_block1_relu1"]
    add = model.get_layer("stage2_block2_add")
    assert inputs_of(add) == ["stage2_block1_add", "stage2_block2_conv2"]


def test_dropout_lies_between_the_convolutions():
    model = create(block_dropout=0.3, seed=1)
    dropped = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Dropout)
    ]
    assert [layer.rate for layer in dropped] == [0.3] * 3
    assert len({layer.seed for layer in dropped}) == 3
    reader = model.get_layer("stage1_block1_conv2")
    assert inputs_of(reader) == ["stage1_block1_dropout"]


@pytest.mark.parametrize(
    "skip", [pytest.param(False, marks=pytest.mark.slow(ci=True)), True]
)
def test_depth_drops_follow_the_rule_of_the_paper(skip):
    model = create(16, stochastic_depth=0.6, skip=skip, seed=2)
    kinds = (StochasticDepth, StochasticResidual)
    drops = [layer for layer in model.layers if isinstance(layer, kinds)]
    rates = [layer.rate for layer in drops]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert len({layer.seed for layer in drops}) == 6


def weights_by_name(model):
    """Weights of a model by layer and variable, wherever the layer stands."""
    names = [tuple(w.path.split("/")[-2:]) for w in model.weights]
    assert len(set(names)) == len(names)
    return dict(zip(names, model.weights, strict=True))


@pytest.mark.parametrize(
    "rate", [pytest.param(0.0, marks=pytest.mark.slow(ci=True)), 0.5]
)
def test_blocks_that_skip_are_the_plain_network_at_inference(rate):
    options = {"stochastic_depth": rate, "block_dropout": 0.1}
    plain = create(width=2, **options)
    skipping = create(width=2, **options, skip=True)
    ours, theirs = weights_by_name(plain), weights_by_name(skipping)
    assert ours.keys() == theirs.keys()
    rng = np.random.default_rng(1)
    for name, weight in ours.items():
        weight.assign(rng.uniform(0.1, 0.3, weight.shape))
        theirs[name].assign(weight)
    expected, got = plain(photos()), skipping(photos())
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_blocks_are_dropped_on_the_coarser_maps():
    model = create(drop_block=0.1, seed=1)
    kept = [x.name for x in model.layers if isinstance(x, DropBlock2D)]
    assert kept == ["stage2_block1_drop_block", "stage3_block1_drop_block"]


def test_another_activation_takes_the_place_of_every_relu():
    model = create(activation="silu")
    activations = {
        layer.activation
        for layer in model.layers
        if isinstance(layer, keras.layers.Activation)
    }
    assert activations == {keras.activations.silu}


def test_pooling_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="no `pooling`, because it has no"):
        create(pooling="stochastic")


@pytest.mark.parametrize(
    ("depth", "width"), [(4, 1), (11, 1), (-2, 1), (10, 0)]
)
def test_a_shape_that_makes_no_network_is_refused(depth, width):
    received = f"depth={depth}, width={width}"
    with pytest.raises(ValueError, match=f"`depth` must .*{received}"):
        create(depth, width)


def test_a_rate_out_of_range_is_refused():
    with pytest.raises(ValueError, match="`block_dropout` must .*=1.0"):
        create(block_dropout=1.0)
