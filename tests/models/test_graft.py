"""Grafted networks: exact at inference, independent, and changed as asked."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.layers import (
    DropBlock2D,
    DropConnect,
    DropConnectConv2D,
    DropConnectDense,
    FractionalAveragePooling2D,
    FractionalMaxPooling2D,
    MaxDrop,
    Maxout,
    StochasticDepth,
    StochasticPooling2D,
    StochasticResidual,
)
from dropzoo.models import graft, ungraft
from dropzoo.models.feature_extractor import feature_extractor
from dropzoo.models.portability import why_not_portable

BLOCKS = ("block1_add", "block2_add", "block3_add")


def residual(x, name, filters, strides=1):
    """A block with a BatchNorm, and a projection where the shape changes."""
    y = layers.Conv2D(
        filters, 3, strides, padding="same", name=f"{name}_conv1"
    )(x)
    y = layers.BatchNormalization(name=f"{name}_bn")(y)
    y = layers.ReLU(name=f"{name}_relu")(y)
    y = layers.Conv2D(filters, 3, padding="same", name=f"{name}_conv2")(y)
    if strides > 1:
        x = layers.Conv2D(filters, 1, strides, name=f"{name}_shortcut")(x)
    return layers.Add(name=f"{name}_add")([x, y])


def build(name="network"):
    x = inputs = keras.Input((16, 16, 3), name="images")
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = residual(x, "block1", 4)
    x = residual(x, "block2", 8, strides=2)
    x = residual(x, "block3", 8)
    x = layers.ReLU(name="out")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dense(6, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name=name)


def set_random_weights(model):
    rng = np.random.default_rng(0)
    for variable in model.weights:
        values = rng.normal(size=variable.shape) / 3
        is_variance = variable.name == "moving_variance"
        variable.assign(np.exp(values) if is_variance else values)
    return model


def photos(count=3, side=16):
    rng = np.random.default_rng(1)
    return rng.normal(size=(count, side, side, 3)).astype("float32")


def assert_same_bits(left, right, x, **options):
    np.testing.assert_array_equal(
        np.asarray(left(x, **options)), np.asarray(right(x, **options))
    )


def kinds(model, *classes):
    return [x.name for x in model.layers if isinstance(x, classes)]


@pytest.fixture
def model():
    return set_random_weights(build())


EVERYTHING = {
    "stochastic_depth": 0.3,
    "dropconnect": 0.2,
    "drop_block": 0.1,
    "max_drop": 0.1,
    "dropout": 0.5,
}
TECHNIQUES = [
    *({name: rate} for name, rate in EVERYTHING.items()),
    {"stochastic_depth": 0.3, "skip": True},
    {"dropconnect": (0.2, "*conv*")},
    {"dropconnect": (0.2, lambda layer: layer.name == "stem")},
    {**EVERYTHING, "seed": 3},
    {**EVERYTHING, "skip": True, "seed": 3},
]


# In the ordinary run these stand for all techniques, one by one.
ALL_AT_ONCE = TECHNIQUES[-2:]
MASKED = pytest.param(
    ALL_AT_ONCE[0], id="masked", marks=pytest.mark.slow(ci=True)
)
SKIPPED = pytest.param(ALL_AT_ONCE[1], id="skipped")


@pytest.fixture(
    params=[
        *(
            pytest.param(
                options, id="+".join(options), marks=pytest.mark.slow(ci=True)
            )
            for options in TECHNIQUES[:-2]
        ),
        *(pytest.param(x, id="+".join(x)) for x in ALL_AT_ONCE),
    ]
)
def options(request):
    return request.param


def test_inference_is_equal_to_the_bit(model, options):
    grafted = graft(model, **options)
    assert_same_bits(model, grafted, photos(), training=False)
    assert_same_bits(model, grafted, photos(1), training=False)


def test_training_is_another(model, options):
    grafted = graft(model, **options)
    plain = np.asarray(model(photos(), training=True))
    drawn = [np.asarray(grafted(photos(), training=True)) for _ in range(8)]
    assert all(np.isfinite(outputs).all() for outputs in drawn)
    assert any(not np.allclose(outputs, plain) for outputs in drawn)
    assert any(not np.allclose(outputs, drawn[0]) for outputs in drawn)


def test_what_was_grafted_comes_off_again(model, options):
    plain = ungraft(graft(model, **options))
    assert as_text(plain) == as_text(model)
    assert why_not_portable(plain) == {}
    assert_same_bits(model, plain, photos(), training=False)


def as_text(model):
    """Layers with all their arguments, and the calls of them."""
    return json.dumps(model.get_config(), default=str, sort_keys=True)


def test_files_are_saved_loaded_and_grafted_again(model, options, tmp_path):
    graft(model, **options).save(tmp_path / "grafted.keras")
    loaded = keras.saving.load_model(tmp_path / "grafted.keras")
    assert_same_bits(model, loaded, photos(), training=False)
    again = graft(loaded, **options)
    assert [x.name for x in again.layers] == [x.name for x in loaded.layers]
    assert_same_bits(model, again, photos(), training=False)


@pytest.mark.slow(ci=True)
def test_keras_alone_loads_what_was_ungrafted(model, tmp_path):
    plain = ungraft(graft(model, **EVERYTHING, skip=True))
    plain.save(tmp_path / "plain.keras")
    np.save(tmp_path / "photos.npy", photos())
    source = (
        "import keras, numpy, sys\n"
        "model = keras.saving.load_model('plain.keras')\n"
        "logits = model(numpy.load('photos.npy'), training=False)\n"
        "numpy.save('logits.npy', keras.ops.convert_to_numpy(logits))\n"
        "print('dropzoo' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", source],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.stdout == "False\n", run.stderr
    np.testing.assert_array_equal(
        np.load(tmp_path / "logits.npy"),
        np.asarray(model(photos(), training=False)),
    )


def snapshot(model):
    """All that can be seen of a model."""
    every = model._flatten_layers(include_self=False)
    return {
        "config": as_text(model),
        "weights": [np.asarray(v).tobytes() for v in model.variables],
        "outputs": [id(x.output) for x in model.layers],
        "calls": [
            (len(x._inbound_nodes), len(x._outbound_nodes)) for x in every
        ],
        "layers": [id(x) for x in every],
        "trainable": [x.trainable for x in every],
        "optimizer": [np.asarray(v) for v in model.optimizer.variables],
    }


@pytest.mark.parametrize("options", [MASKED, SKIPPED])
def test_the_original_stays_as_it_is(model, options):
    model.get_layer("block1_conv1").trainable = False
    model.compile("adam", "mse", run_eagerly=True)
    model.train_on_batch(photos(), np.zeros((3, 3)))
    before = snapshot(model)
    grafted = graft(model, **options)
    grafted.compile("sgd", "mse", run_eagerly=True)
    grafted.train_on_batch(photos(), np.zeros((3, 3)))
    after = snapshot(model)
    for key, value in before.items():
        assert str(after[key]) == str(value), key
    assert model.compiled and model.train_on_batch(photos(), np.zeros((3, 3)))


def test_flags_are_copied(model):
    for name in ("stem", "block2_bn", "hidden"):
        model.get_layer(name).trainable = False
    grafted = graft(model, **EVERYTHING)
    frozen = [x.name for x in grafted.layers if not x.trainable]
    assert frozen == ["stem", "block2_bn", "hidden"]


def test_a_frozen_part_stays_frozen_in_a_branch_that_is_cut_out(model):
    model.get_layer("block2_conv1").trainable = False
    grafted = graft(model, stochastic_depth=0.2, skip=True)
    branch = grafted.get_layer("block2_add").branch
    assert [x.name for x in branch.layers if not x.trainable] == [
        "block2_conv1"
    ]


def test_inner_outputs_of_both_are_within_reach(model):
    grafted = graft(model, **EVERYTHING)
    for name in ("stem", "pool", "block2_bn", *BLOCKS, "features"):
        one, other = (
            keras.Model(x.input, x.get_layer(name).output)
            for x in (model, grafted)
        )
        assert_same_bits(one, other, photos(), training=False)


def test_sums_of_skipped_branches_are_within_reach(model):
    grafted = graft(model, stochastic_depth=0.5, skip=True)
    for name in BLOCKS:
        one, other = (
            keras.Model(x.input, x.get_layer(name).output)
            for x in (model, grafted)
        )
        assert_same_bits(one, other, photos(), training=False)


@pytest.mark.parametrize("options", [MASKED, SKIPPED])
def test_maps_at_each_level_are_within_reach(model, options):
    left, right = map(feature_extractor, (model, graft(model, **options)))
    maps, others = left(photos()), right(photos())
    assert list(maps) == list(others) == ["stride_2", "stride_4"]
    for name, expected in maps.items():
        np.testing.assert_array_equal(others[name], expected)


def class_activation_map(model, name):
    """Grad-CAM of the first class at a layer, of a few photos."""
    tensorflow = pytest.importorskip("tensorflow")
    ends = [model.get_layer(name).output, model.output]
    with tensorflow.GradientTape() as tape:
        maps, logits = keras.Model(model.input, ends)(photos())
        score = logits[:, 0]
    slopes = np.mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
    return np.maximum(np.sum(maps * slopes, axis=-1), 0)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="reads its gradient tape"
)
@pytest.mark.parametrize("options", [MASKED, SKIPPED])
def test_class_activation_maps_are_those_of_the_original(model, options):
    expected = class_activation_map(model, "block3_add")
    assert expected.any()
    found = class_activation_map(graft(model, **options), "block3_add")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_depth_drops_grow_linearly_to_the_rate(model):
    grafted = graft(model, stochastic_depth=0.3)
    drops = [x for x in grafted.layers if isinstance(x, StochasticDepth)]
    assert [x.name for x in drops] == [
        f"{name}_grafted_stochastic_depth" for name in BLOCKS
    ]
    np.testing.assert_allclose([x.rate for x in drops], [0.1, 0.2, 0.3])


def test_a_dropped_branch_leaves_the_shortcut():
    x = keras.Input((4,))
    y = layers.Dense(4, use_bias=False, name="dense")(x)
    model = keras.Model(x, layers.Add(name="add")([x, y]))
    model.get_layer("dense").set_weights([3 * np.eye(4)])
    grafted = graft(model, stochastic_depth=0.25, seed=1)
    ones = np.ones((400, 4), "float32")
    outputs = np.asarray(grafted(ones, training=True))
    # 1, or 1 + 3 / 0.75, for each example as a whole.
    assert set(np.unique(outputs)) == {1.0, 5.0}
    assert (outputs == outputs[:, :1]).all()
    share = (outputs[:, 0] == 1).mean()
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5


@pytest.mark.slow(ci=True)
def test_a_skipped_branch_is_not_computed(model):
    grafted = graft(model, stochastic_depth=0.99, skip=True, seed=0)
    grafted.compile("sgd", "mse")
    block = grafted.get_layer("block3_add")
    norm = block.branch.get_layer("block3_bn")
    before = np.asarray(norm.moving_mean)
    for _ in range(3):
        grafted.train_on_batch(photos(), np.zeros((3, 3)))
    # With this seed none of the three steps computes it.
    np.testing.assert_array_equal(before, np.asarray(norm.moving_mean))


def test_branches_that_are_skipped_leave_the_graph(model):
    grafted = graft(model, stochastic_depth=0.3, skip=True)
    assert kinds(grafted, StochasticResidual) == list(BLOCKS)
    names = [x.name for x in grafted.layers]
    assert not [x for x in names if "_conv" in x or "_bn" in x]
    block = grafted.get_layer("block2_add")
    assert block.shortcut.get_layer("block2_shortcut").weights
    for layer in block.branch.layers[1:]:
        old = model.get_layer(layer.name)
        for one, other in zip(old.weights, layer.weights, strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def efficient():
    """Blocks with the depth drops of Keras's EfficientNets."""
    x = inputs = keras.Input((4,))
    for number, rate in enumerate((0.1, 0.2), start=1):
        y = layers.Dense(4, name=f"dense{number}")(x)
        y = layers.Dropout(rate, (None, 1), name=f"drop{number}")(y)
        x = layers.Add(name=f"add{number}")([y, x])
    x = layers.Dropout(0.2, name="top_dropout")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


def test_depth_drops_that_are_there_are_rated_anew():
    model = efficient()
    grafted = graft(model, stochastic_depth=0.5)
    assert [x.name for x in grafted.layers] == [x.name for x in model.layers]
    rates = [grafted.get_layer(f"drop{n}").rate for n in (1, 2)]
    assert rates == [0.25, 0.5]
    assert grafted.get_layer("drop2").noise_shape == (None, 1)


def test_depth_drops_that_are_there_go_where_branches_are_skipped():
    model = set_random_weights(efficient())
    grafted = graft(model, stochastic_depth=0.5, skip=True)
    for number in (1, 2):
        block = grafted.get_layer(f"add{number}")
        assert [x.name for x in block.branch.layers[1:]] == [f"dense{number}"]
    x = np.ones((2, 4), "float32")
    assert_same_bits(model, grafted, x, training=False)


def test_a_rate_of_zero_switches_depth_drops_off():
    grafted = graft(efficient(), stochastic_depth=0)
    assert [grafted.get_layer(f"drop{n}").rate for n in (1, 2)] == [0, 0]
    plain = graft(build(), stochastic_depth=0)
    assert not kinds(plain, StochasticDepth)


def test_grafting_again_changes_rates_and_adds_nothing(model):
    first = graft(model, **EVERYTHING)
    second = graft(
        first, **{name: rate / 2 for name, rate in EVERYTHING.items()}
    )
    assert [x.name for x in first.layers] == [x.name for x in second.layers]
    for one, other in zip(first.layers, second.layers, strict=True):
        if hasattr(one, "rate"):
            np.testing.assert_allclose(other.rate, one.rate / 2)


def test_skipped_branches_are_rated_anew(model):
    first = graft(model, stochastic_depth=0.3, skip=True)
    for skip in (True, False):
        second = graft(first, stochastic_depth=0.6, skip=skip)
        rates = [second.get_layer(name).rate for name in BLOCKS]
        np.testing.assert_allclose(rates, [0.2, 0.4, 0.6])
        assert_same_bits(model, second, photos(), training=False)


def test_seeds_are_split_and_repeat(model):
    def drawn(seed):
        grafted = graft(model, **EVERYTHING, seed=seed)
        seeds = [x.seed for x in grafted.layers if hasattr(x, "seed")]
        assert len(seeds) > 5 and len(set(seeds)) == len(seeds)
        return np.asarray(grafted(photos(), training=True))

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("block2_add", ["block2_add"]),
        ("block[23]_conv1", ["block2_add", "block3_add"]),
        (lambda x: x.name == "block1_bn", ["block1_add"]),
    ],
)
def test_blocks_are_chosen_by_themselves_or_by_their_layers(
    model, where, names
):
    grafted = graft(model, stochastic_depth=(0.4, where))
    found = kinds(grafted, StochasticDepth)
    assert found == [f"{x}_grafted_stochastic_depth" for x in names]
    assert grafted.get_layer(found[-1]).rate == pytest.approx(0.4)


def test_an_addition_around_others_has_to_be_chosen():
    x = keras.Input((4,))
    inner = layers.Add(name="inner")([x, layers.Dense(4)(x)])
    outer = layers.Add(name="outer")([x, layers.Dense(4)(inner)])
    model = set_random_weights(keras.Model(x, outer))
    assert kinds(graft(model, stochastic_depth=0.1), StochasticDepth) == [
        "inner_grafted_stochastic_depth"
    ]
    data = np.ones((2, 4), "float32")
    for skip in (True, False):
        both = graft(model, stochastic_depth=(0.1, "*er"), skip=skip)
        assert_same_bits(model, both, data, training=False)
        plain = ungraft(both)
        assert {"inner", "outer"} < {x.name for x in plain.layers}
        assert_same_bits(model, plain, data, training=False)


def test_every_branch_of_a_sum_is_dropped_by_itself():
    x = keras.Input((4,))
    ends = [x, layers.Dense(4)(x), layers.Dense(4)(x)]
    model = keras.Model(x, layers.Add(name="add")(ends))
    grafted = graft(model, stochastic_depth=0.2)
    assert kinds(grafted, StochasticDepth) == [
        "add_grafted_stochastic_depth_branch1",
        "add_grafted_stochastic_depth_branch2",
    ]


def test_one_layer_that_adds_many_times_is_no_obstacle():
    add = layers.Add(name="add")
    x = inputs = keras.Input((4,))
    for _ in range(2):
        x = add([x, layers.Dense(4)(x)])
    model = set_random_weights(keras.Model(inputs, x))
    grafted = graft(model, stochastic_depth=0.2)
    assert kinds(grafted, StochasticDepth) == [
        "add_grafted_stochastic_depth_1",
        "add_grafted_stochastic_depth_2",
    ]
    assert_same_bits(model, grafted, np.ones((2, 4)), training=False)


def test_dense_layers_on_vectors_drop_connections(model):
    grafted = graft(model, dropconnect=0.2)
    assert kinds(grafted, DropConnectDense) == ["hidden", "logits"]
    assert grafted.get_layer("hidden").rate == 0.2
    assert grafted.get_layer("hidden").activation is keras.activations.relu


def test_layers_with_a_kernel_drop_connections_where_chosen():
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, strides=2, groups=1, name="conv")(x)
    y = layers.DepthwiseConv2D(3, name="depthwise")(y)
    model = set_random_weights(keras.Model(x, layers.ReLU()(y)))
    grafted = graft(model, dropconnect=(0.2, "*"))
    assert kinds(grafted, DropConnectConv2D) == ["conv"]
    assert kinds(grafted, DropConnect) == ["depthwise"]
    assert_same_bits(model, grafted, photos(2, 8), training=False)
    again = graft(grafted, dropconnect=0.4, seed=1)
    assert {again.get_layer(x).rate for x in ("conv", "depthwise")} == {0.4}
    assert_same_bits(model, again, photos(2, 8), training=False)


def test_squares_are_dropped_behind_the_coarse_additions(model):
    grafted = graft(model, drop_block=0.1)
    # Additions of 8x8 and of 4x4 positions: both levels that there are.
    assert kinds(grafted, DropBlock2D) == [
        f"{name}_grafted_drop_block" for name in BLOCKS
    ]
    block = grafted.get_layer("block3_add_grafted_drop_block")
    assert block.input is grafted.get_layer("block3_add").output


def chain():
    """Three levels of convolutions with their activations, no additions."""
    x = inputs = keras.Input((16, 16, 3))
    for level, side in enumerate(("a", "b", "c")):
        x = layers.Conv2D(
            4, 3, 1 + (level > 0), padding="same", name=f"conv_{side}"
        )(x)
        x = layers.ReLU(name=f"relu_{side}")(x)
    x = layers.Conv2D(4, 3, activation="relu", name="conv_end")(x)
    return keras.Model(inputs, layers.GlobalMaxPooling2D()(x))


@pytest.mark.parametrize(
    ("technique", "kind"), [("drop_block", DropBlock2D), ("max_drop", MaxDrop)]
)
def test_without_additions_drops_come_behind_coarse_activations(
    technique, kind
):
    grafted = graft(chain(), **{technique: 0.1})
    assert kinds(grafted, kind) == [
        f"{name}_grafted_{technique}" for name in ("relu_c", "conv_end")
    ]


def test_drops_of_maps_come_behind_the_learned_activations_of_maxout():
    x = inputs = keras.Input((8, 8, 3))
    x = Maxout(2, name="maxout")(layers.Conv2D(4, 3)(x))
    model = keras.Model(inputs, layers.GlobalMaxPooling2D()(x))
    grafted = graft(model, drop_block=0.1)
    assert kinds(grafted, DropBlock2D) == ["maxout_grafted_drop_block"]


def test_drops_of_maps_come_behind_what_is_chosen(model):
    grafted = graft(model, drop_block=(0.1, "pool"), max_drop=(0.2, "pool"))
    maps = grafted.get_layer("pool_grafted_drop_block")
    assert maps.input is grafted.get_layer("pool").output
    assert grafted.get_layer("pool_grafted_max_drop").input is maps.output
    again = graft(grafted, max_drop=(0.4, "pool"), drop_block=0.3)
    assert [x.name for x in again.layers] == [x.name for x in grafted.layers]
    assert again.get_layer("pool_grafted_max_drop").rate == 0.4
    assert again.get_layer("pool_grafted_drop_block").rate == 0.3


def test_dropout_comes_before_the_classifier(model):
    grafted = graft(model, dropout=0.4)
    (name,) = kinds(grafted, layers.Dropout)
    assert name == "logits_grafted_dropout"
    drop = grafted.get_layer(name)
    assert drop.rate == 0.4
    assert drop.output is grafted.get_layer("logits").input


def test_dropout_that_is_there_is_rated_anew():
    grafted = graft(efficient(), dropout=0.5)
    assert kinds(grafted, layers.Dropout) == ["drop1", "drop2", "top_dropout"]
    assert grafted.get_layer("top_dropout").rate == 0.5
    assert grafted.get_layer("drop1").rate == 0.1


def test_a_classifier_can_be_a_convolution():
    x = keras.Input((1, 1, 8))
    y = layers.Dropout(0.1, name="drop")(x)
    y = layers.Conv2D(3, 1, name="logits")(y)
    model = keras.Model(x, layers.Softmax()(layers.Flatten()(y)))
    assert graft(model, dropout=0.3).get_layer("drop").rate == 0.3


def test_dropout_is_found_behind_a_layer_that_only_reorders():
    x = keras.Input((2, 2, 3))
    y = layers.Flatten()(layers.Dropout(0.1, name="drop")(x))
    model = keras.Model(x, layers.Dense(2)(y))
    grafted = graft(model, dropout=0.3)
    assert grafted.get_layer("drop").rate == 0.3
    assert len(grafted.layers) == len(model.layers)


def test_every_output_has_its_classifier():
    x = keras.Input((4,))
    hidden = layers.Dense(4, name="hidden")(x)
    ends = [layers.Dense(2, name=name)(hidden) for name in ("one", "two")]
    grafted = graft(keras.Model(x, ends), dropout=0.1)
    assert set(kinds(grafted, layers.Dropout)) == {
        "one_grafted_dropout",
        "two_grafted_dropout",
    }


def test_dropout_comes_before_what_is_chosen(model):
    grafted = graft(model, dropout=(0.4, "hidden"))
    assert kinds(grafted, layers.Dropout) == ["hidden_grafted_dropout"]


def pooled(layer, size=(12, 12, 2)):
    x = keras.Input(size)
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    return keras.Model(x, layer(y))


@pytest.mark.parametrize(
    "window",
    [
        {"pool_size": 2},
        {"pool_size": 3, "strides": 2, "padding": "same"},
        {"pool_size": 3, "strides": 2},
    ],
)
@pytest.mark.parametrize(
    ("old", "fractional"),
    [
        (layers.MaxPooling2D, FractionalMaxPooling2D),
        (layers.AveragePooling2D, FractionalAveragePooling2D),
    ],
)
def test_pooling_is_swapped_for_its_like(old, fractional, window):
    model = pooled(old(**window, name="pool"))
    new = {
        "max": layers.MaxPooling2D,
        "average": layers.AveragePooling2D,
        "stochastic": StochasticPooling2D,
        "fractional": fractional,
    }
    for kind, expected in new.items():
        grafted = graft(model, pooling=kind, seed=1)
        layer = grafted.get_layer("pool")
        assert type(layer) is expected
        assert grafted.output_shape == model.output_shape
        back = graft(grafted, pooling="max").get_layer("pool")
        assert type(back) is layers.MaxPooling2D
        assert back.output.shape == model.output_shape


def test_stochastic_pooling_has_the_window_of_the_layer_before():
    model = pooled(layers.MaxPooling2D(3, 2, padding="same", name="pool"))
    layer = graft(model, pooling=("stochastic", "pool")).get_layer("pool")
    assert (layer.windows, layer.steps) == ((3, 3), (2, 2))
    assert layer.padding == "same"


def test_sequences_and_volumes_are_pooled_too():
    for rank, kind in ((1, layers.MaxPooling1D), (3, layers.MaxPooling3D)):
        x = keras.Input((*(7,) * rank, 2))
        model = keras.Model(x, kind(3, 2, name="pool")(x))
        for pooling in ("average", "stochastic", "fractional"):
            grafted = graft(model, pooling=pooling)
            assert grafted.output_shape == model.output_shape
            assert pooling in type(grafted.get_layer("pool")).__name__.lower()


def test_pooling_that_there_is_already_stays(model):
    grafted = graft(model, pooling="max")
    assert type(grafted.get_layer("pool")) is layers.MaxPooling2D
    assert_same_bits(model, grafted, photos(), training=False)


def test_ungrafting_leaves_pooling_as_it_is(model):
    grafted = graft(model, pooling="stochastic", dropconnect=0.1)
    plain = ungraft(grafted)
    assert_same_bits(grafted, plain, photos(), training=False)
    assert list(why_not_portable(plain)) == ["pool"]


def test_models_in_models_are_grafted():
    entry = keras.Input((16, 16, 3), name="entry")
    inner = keras.Model(entry, residual(entry, "inside", 3), name="inner")
    x = keras.Input((16, 16, 3), name="x")
    head = keras.Sequential(
        [layers.GlobalAveragePooling2D(), layers.Dense(2, name="logits")],
        name="head",
    )
    model = set_random_weights(keras.Model(x, head(inner(inner(x)))))
    grafted = graft(model, **EVERYTHING)
    assert len(grafted.weights) == len(model.weights)
    assert_same_bits(model, grafted, photos(), training=False)
    new = grafted.get_layer("inner")
    assert kinds(new, StochasticDepth) == [
        "inside_add_grafted_stochastic_depth"
    ]
    assert type(grafted.get_layer("head").get_layer("logits")) is (
        DropConnectDense
    )
    skipping = graft(model, stochastic_depth=0.2, skip=True)
    assert kinds(skipping.get_layer("inner"), StochasticResidual) == [
        "inside_add"
    ]
    assert_same_bits(model, skipping, photos(), training=False)
    assert_same_bits(model, ungraft(skipping), photos(), training=False)


def test_a_sequential_model_becomes_a_functional_one():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="dense")], name="mine"
    )
    grafted = graft(model, dropconnect=0.3)
    assert not isinstance(grafted, keras.Sequential)
    assert grafted.name == "mine"
    assert_same_bits(model, grafted, np.ones((2, 4)), training=False)


def test_several_inputs_and_outputs_keep_their_structure():
    inputs = {
        "a": keras.Input((4,), name="a"),
        "b": keras.Input((4,), name="b"),
    }
    y = layers.Add()([inputs["a"], layers.Dense(4)(inputs["a"])])
    outputs = {"y": y, "z": layers.Dense(2)(y + inputs["b"])}
    model = set_random_weights(keras.Model(inputs, outputs))
    grafted = graft(model, stochastic_depth=0.1)
    data = {name: np.ones((2, 4), "float32") for name in inputs}
    left, right = model(data), grafted(data)
    for name in outputs:
        np.testing.assert_array_equal(left[name], right[name])


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(
    "policy",
    [
        pytest.param("mixed_bfloat16", marks=pytest.mark.slow(ci=True)),
        "mixed_float16",
    ],
)
def test_mixed_precision_stays_mixed(policy, skip):
    keras.config.set_dtype_policy(policy)
    try:
        model = set_random_weights(build())
    finally:
        keras.config.set_dtype_policy("float32")
    grafted = graft(
        model, **EVERYTHING, skip=skip, pooling=("max", "pool"), seed=1
    )
    assert grafted.get_layer("block2_add").compute_dtype == policy[6:]
    assert grafted.get_layer("block2_add").output.dtype == policy[6:]
    assert_same_bits(model, grafted, photos(), training=False)
    assert_same_bits(model, ungraft(grafted), photos(), training=False)
    assert np.isfinite(grafted(photos(), training=True)).all()


def test_additions_as_operations_stay_in_their_type():
    x = keras.Input((4,), dtype="float16")
    y = layers.Dense(4, dtype="float16")(x)
    model = set_random_weights(keras.Model(x, x + y))
    data = np.ones((2, 4), "float16")
    for skip in (True, False):
        grafted = graft(model, stochastic_depth=0.2, skip=skip)
        assert grafted.output.dtype == "float16"
        assert_same_bits(model, grafted, data, training=False)


@pytest.mark.parametrize(
    "options",
    [
        MASKED,
        SKIPPED,
        pytest.param(
            {"dropconnect": (0.2, "*conv*")}, marks=pytest.mark.slow(ci=True)
        ),
    ],
)
def test_a_grafted_model_trains(model, options):
    grafted = graft(model, **options)
    grafted.compile("sgd", "mse")
    before = [np.asarray(w) for w in grafted.trainable_weights]
    grafted.fit(photos(8), np.ones((8, 3)), batch_size=4, verbose=0)
    moved = [
        not np.array_equal(old, np.asarray(new))
        for old, new in zip(before, grafted.trainable_weights, strict=True)
    ]
    assert np.mean(moved) > 0.5


class OwnModel(keras.Model):
    """Computes what no graph tells."""

    def call(self, inputs):
        return inputs


class Functional(keras.Model):
    """A functional model with a training step of its own."""

    def train_step(self, data):
        return {}


@pytest.mark.parametrize("verb", [ungraft, lambda x: graft(x, dropout=0.1)])
def test_what_has_no_graph_is_refused(verb):
    x = keras.Input((4,))
    own = Functional(x, layers.Dense(2)(x))
    for model in (OwnModel(), own, layers.Dense(2), "resnet50"):
        with pytest.raises(TypeError, match="`model` must be a functional"):
            verb(model)
    with pytest.raises(ValueError, match="must be built.*model.build"):
        verb(keras.Sequential([layers.Dense(2)]))
    verb(keras.Model(own.inputs, own.outputs))


def vectors():
    x = keras.Input((4,))
    return keras.Model(x, layers.BatchNormalization(name="norm")(x))


NOWHERE = [
    ({}, "a technique must be asked for"),
    ({"dropout": 0.1, "skip": True}, "`skip` needs the rate"),
    ({"stochastic_depth": 0.1}, "the model has no residual additions"),
    ({"dropconnect": 0.1}, "the model has no dense layers on vectors"),
    ({"dropconnect": (0.1, "*")}, "the model has no layers with a kernel"),
    ({"drop_block": 0.1}, "the model has no maps of known size behind"),
    ({"drop_block": (0.1, "*")}, "the model has no layers that give maps"),
    ({"max_drop": 0.1}, "the model has no maps of known size behind"),
    ({"dropout": 0.1}, "the model has no classifiers"),
    ({"dropout": (0.1, "x")}, r"choose some of its layers \(norm\)"),
    ({"pooling": "max"}, "the model has no pooling layers"),
]


@pytest.mark.parametrize(("options", "sentence"), NOWHERE)
def test_a_technique_without_a_place_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        graft(vectors(), **options)
    assert "\n" not in str(error.value)


def test_names_that_choose_nothing_are_met_with_some_that_would(model):
    with pytest.raises(ValueError, match=r"residual additions \(block1_add"):
        graft(model, stochastic_depth=(0.1, "nothing*"))
    with pytest.raises(ValueError, match=r"stem, block1_conv1.*, \.\.\.\)"):
        graft(model, dropconnect=(0.1, "nothing*"))


@pytest.mark.parametrize(
    "given", ["0.1", True, (0.1,), (0.1, 3), (0.1, "x", "y"), [0.1, "x"]]
)
def test_a_rate_of_another_kind_is_refused(model, given):
    with pytest.raises(TypeError, match="`dropout` must be a rate"):
        graft(model, dropout=given)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_a_rate_out_of_range_is_refused(model, rate):
    for technique in EVERYTHING:
        with pytest.raises(ValueError, match=f"`{technique}` must be a rate"):
            graft(model, **{technique: rate})


@pytest.mark.parametrize(
    ("given", "kind"),
    [("median", ValueError), (2, TypeError), (("max", 2), TypeError)],
)
def test_an_unknown_pooling_is_refused(model, given, kind):
    with pytest.raises(kind, match="`pooling` must be one of 'max'"):
        graft(model, pooling=given)


@pytest.mark.parametrize(
    ("layer", "size", "sentence"),
    [
        (layers.MaxPooling2D(2), (None, None, 2), "maps of unknown size"),
        (layers.MaxPooling2D(3, 1, "same"), (6, 6, 2), "by fractions.*room"),
    ],
)
def test_pooling_that_fits_no_fraction_is_refused(layer, size, sentence):
    with pytest.raises(ValueError, match=sentence):
        graft(pooled(layer, size), pooling="fractional")


def test_averages_of_sequences_fit_no_fraction():
    x = keras.Input((8, 2))
    model = keras.Model(x, layers.AveragePooling1D(2)(x))
    with pytest.raises(ValueError, match="in two dimensions alone"):
        graft(model, pooling="fractional")


def test_a_true_fraction_fits_no_whole_strides():
    model = pooled(FractionalMaxPooling2D(2**0.5, name="pool"))
    with pytest.raises(ValueError, match=r"\(12, 12\) to \(8, 8\), which"):
        graft(model, pooling="max")


def test_a_branch_that_shares_layers_is_not_cut_out():
    x = keras.Input((4,))
    dense = layers.Dense(4, name="twice")
    y = layers.Add(name="add")([x, dense(dense(x))])
    model = keras.Model(x, y)
    assert kinds(graft(model, stochastic_depth=0.1), StochasticDepth)
    with pytest.raises(ValueError, match="'twice' is called more than once"):
        graft(model, stochastic_depth=0.1, skip=True)


def test_a_sum_of_three_is_not_cut_out():
    x = keras.Input((4,))
    ends = [x, layers.Dense(4)(x), layers.Dense(4)(x)]
    model = keras.Model(x, layers.Add()(ends))
    with pytest.raises(ValueError, match="2 branches meet in it"):
        graft(model, stochastic_depth=0.1, skip=True)


def test_a_shortcut_that_begins_as_the_branch_does_is_not_cut_out():
    x = keras.Input((8,))
    left, right = keras.ops.split(x, 2, axis=-1)
    model = keras.Model(x, left + layers.Dense(4)(right))
    with pytest.raises(ValueError, match="have layers in common"):
        graft(model, stochastic_depth=0.1, skip=True)
