import keras
import numpy as np
import pytest

from dropzoo.layers import (
    DropBlock2D,
    FractionalMaxPooling2D,
    StochasticPooling2D,
)
from dropzoo.models import create_model, model_info
from dropzoo.models.freezing import levels

# Exact counts of those in millions that the paper gives in table 2, after
# depth, growth and whether it is a DenseNet-BC.
TABLE_2 = {
    (40, 12, False): (1_019_722, 1.0),
    (100, 12, False): (6_979_642, 7.0),
    (100, 24, False): (27_249_082, 27.2),
    (100, 12, True): (769_162, 0.8),
    (250, 24, True): (15_324_406, 15.3),
    (190, 40, True): (25_624_430, 25.6),
}


def create(depth=7, **options):
    """A DenseNet of any depth for images of 16x16."""
    options = {"num_classes": 3, "input_shape": (16, 16, 3), **options}
    return create_model("densenet40", depth=depth, **options)


def photos(count=2, side=16):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side, 3)).astype("float32")


def parameters(depth, growth, bc):
    """From the paper, section 3: scale and shift before each convolution."""
    layers = (depth - 4) // (6 if bc else 3)
    channels = 2 * growth if bc else 16
    total = 9 * 3 * channels
    for stage in range(3):
        for _ in range(layers):
            inner = 4 * growth if bc else channels
            if bc:
                total += 2 * channels + channels * inner
            total += 2 * inner + 9 * inner * growth
            channels += growth
        if stage < 2:
            kept = channels // 2 if bc else channels
            total += 2 * channels + channels * kept
            channels = kept
    return total + 2 * channels + 10 * channels + 10


@pytest.mark.parametrize("shape", TABLE_2)
def test_the_formula_gives_the_published_parameters(shape):
    exact, millions = TABLE_2[shape]
    assert parameters(*shape) == exact
    assert round(exact / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("densenet40", (40, 12, False)),
        ("densenet_bc40", (40, 12, True)),
        pytest.param("densenet_bc100", (100, 12, True), marks=pytest.mark.slow),
    ],
)
def test_parameters_are_those_of_the_paper(name, shape):
    model = create_model(name)
    trained = sum(np.prod(v.shape) for v in model.trainable_variables)
    assert trained == parameters(*shape) == model_info(name).parameters


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(100, 24, False), (190, 40, True)])
def test_other_networks_of_the_table_can_be_built(shape):
    depth, growth, bc = shape
    model = create_model("densenet40", depth=depth, growth=growth, bc=bc)
    trained = sum(np.prod(v.shape) for v in model.trainable_variables)
    assert trained == TABLE_2[shape][0]


def test_it_ends_in_logits_and_has_its_levels():
    model = create()
    assert model.output_shape == (None, 3)
    assert model.layers[-1].activation is keras.activations.linear
    assert levels(model) == {
        "stride_2": "stage2_transition_relu",
        "stride_4": "head_relu",
    }


def test_without_classes_it_ends_in_pooled_features():
    model = create(10, num_classes=0, growth=5)
    assert model.output_shape == (None, 16 + 3 * 2 * 5)


def test_each_layer_keeps_the_channels_that_it_reads():
    model = create(10, growth=5)
    get = keras.Model(
        model.input,
        [model.get_layer(f"stage1_layer{n}_concat").output for n in (1, 2)],
    )
    first, second = map(keras.ops.convert_to_numpy, get(photos()))
    assert (first.shape[-1], second.shape[-1]) == (21, 26)
    np.testing.assert_array_equal(second[..., :21], first)


def test_a_transition_is_that_of_the_paper():
    """There the convolution comes before the mean; both are linear."""
    model = create(bc=True, depth=10)
    layer = model.get_layer
    inputs = layer("stage1_transition_relu").output
    ours = keras.Model(inputs, layer("stage1_transition_conv").output)
    kernel = keras.ops.convert_to_numpy(layer("stage1_transition_conv").kernel)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 16, 16, inputs.shape[-1])).astype("float32")
    maps = x @ kernel[0, 0]
    expected = maps.reshape(2, 8, 2, 8, 2, -1).mean((2, 4))
    got = keras.ops.convert_to_numpy(ours(x))
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert got.shape[-1] == x.shape[-1] // 2


@pytest.mark.parametrize(
    ("pooling", "kind"),
    [
        (None, keras.layers.AveragePooling2D),
        ("max", keras.layers.MaxPooling2D),
        ("stochastic", StochasticPooling2D),
        ("fractional", FractionalMaxPooling2D),
    ],
)
def test_transitions_pool_as_they_are_asked_to(pooling, kind):
    model = create(pooling=pooling, seed=1)
    names = [x.name for x in model.layers if isinstance(x, kind)]
    assert names == ["stage1_transition_pool", "stage2_transition_pool"]
    logits = keras.ops.convert_to_numpy(model(photos(), training=True))
    assert np.isfinite(logits).all()


def test_dropout_follows_each_convolution_but_the_first():
    model = create(10, bc=True, block_dropout=0.2, seed=1)
    dropped = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Dropout)
    ]
    # Three layers with two convolutions each, and two transitions.
    assert [layer.rate for layer in dropped] == [0.2] * 8
    assert len({layer.seed for layer in dropped}) == 8


def test_blocks_are_dropped_on_the_coarser_maps():
    model = create(drop_block=0.1, seed=1)
    kept = [x.name for x in model.layers if isinstance(x, DropBlock2D)]
    assert kept == ["stage2_layer1_drop_block", "stage3_layer1_drop_block"]


def test_stochastic_depth_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="because it has no residual branch"):
        create(stochastic_depth=0.2)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"depth": 4}, "3 n [+] 4 .*depth=4, growth=12"),
        ({"depth": 41}, "3 n [+] 4 .*depth=41"),
        ({"depth": 13, "bc": True}, "6 n [+] 4 .*depth=13"),
        ({"growth": 0}, "`growth` at least 1.*growth=0"),
        ({"block_dropout": 1.0}, "`block_dropout` must .*=1.0"),
    ],
)
def test_a_shape_that_makes_no_network_is_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        create(**options)
