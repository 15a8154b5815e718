import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.layers import StochasticResidual
from dropzoo.models import freeze, trainable_report, unfreeze
from dropzoo.models.preprocessing import raw_input_model


@pytest.fixture
def model():
    """Three levels of resolution, a BatchNorm at each, and a head."""
    x = keras.Input((16, 16, 3), name="images")
    y = x
    for stride, filters in ((2, 2), (4, 3), (8, 4)):
        y = layers.Conv2D(filters, 3, 2, padding="same", name=f"conv_{stride}")(
            y
        )
        y = layers.BatchNormalization(name=f"bn_{stride}", momentum=0.5)(y)
        y = layers.ReLU(name=f"relu_{stride}")(y)
    y = layers.GlobalAveragePooling2D(name="features")(y)
    return keras.Model(x, layers.Dense(2, name="logits")(y), name="small")


WEIGHTED = ["conv_2", "bn_2", "conv_4", "bn_4", "conv_8", "bn_8", "logits"]


def thawed(model):
    """Layers with weights that train."""
    return [layer.name for layer in model.layers if layer.trainable_variables]


@pytest.mark.parametrize(
    ("up_to", "frozen"),
    [
        ("none", []),
        ("head", WEIGHTED[:-1]),
        ("all", WEIGHTED),
        ("stride_2", WEIGHTED[:2]),
        ("stride_4", WEIGHTED[:4]),
        ("stride_8", WEIGHTED[:6]),
        ("conv_4", WEIGHTED[:3]),
        ("relu_4", WEIGHTED[:4]),
        ("images", []),
        ("conv_*", ["conv_2", "conv_4", "conv_8"]),
        ("bn_[24]", ["bn_2", "bn_4"]),
        (lambda layer: layer.name.startswith("bn"), ["bn_2", "bn_4", "bn_8"]),
    ],
)
def test_every_word_freezes_what_it_says(model, up_to, frozen):
    assert freeze(model, up_to) == frozen
    assert thawed(model) == [name for name in WEIGHTED if name not in frozen]


def test_another_word_thaws_what_the_last_one_froze(model):
    freeze(model, "all")
    freeze(model, "stride_2")
    assert thawed(model) == WEIGHTED[2:]
    unfreeze(model)
    assert thawed(model) == WEIGHTED


def test_a_model_that_was_frozen_as_a_whole_is_thawed(model):
    model.trainable = False
    freeze(model, "stride_4")
    assert thawed(model) == WEIGHTED[4:]


@pytest.mark.parametrize("up_to", ["stride_4", "head", "bn_*"])
def test_what_is_frozen_does_not_move_in_fit(model, up_to):
    frozen = freeze(model, up_to)
    before = {
        variable.path: keras.ops.convert_to_numpy(variable)
        for layer in model.layers
        for variable in layer.weights
    }
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, size=(32, 16, 16, 3)).astype("float32")
    model.fit(x, rng.normal(size=(32, 2)), epochs=2, batch_size=8, verbose=0)
    for layer in model.layers:
        for variable in layer.weights:
            now = keras.ops.convert_to_numpy(variable)
            same = np.array_equal(now, before[variable.path])
            # Statistics of BatchNorm are among the weights.
            assert same == (layer.name in frozen), variable.path


@pytest.fixture
def saved(model, tmp_path):
    """The raw-input model of a run, loaded from its file."""
    raw_input_model(model).save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("up_to", "frozen"),
    [
        ("none", []),
        ("head", WEIGHTED[:-1]),
        ("stride_4", WEIGHTED[:4]),
        ("small/relu_4", WEIGHTED[:4]),
        ("small/bn_*", ["bn_2", "bn_4", "bn_8"]),
        ("*_4", ["conv_4", "bn_4"]),
        ("resizing", []),
        ("small", WEIGHTED),
        ("sm*l", WEIGHTED),
        (lambda layer: layer.name == "small", WEIGHTED),
        (lambda layer: layer.name == "conv_8", ["conv_8"]),
    ],
)
def test_layers_of_an_inner_model_are_frozen_too(saved, up_to, frozen):
    assert freeze(saved, up_to) == [f"small/{name}" for name in frozen]
    assert thawed(saved.get_layer("small")) == [
        name for name in WEIGHTED if name not in frozen
    ]


@pytest.mark.parametrize("up_to", ["stride_4", "small/bn_*"])
def test_what_is_frozen_in_a_loaded_model_does_not_move_in_fit(saved, up_to):
    frozen = freeze(saved, up_to)
    saved.compile("sgd", "mse")
    layers_inside = saved.get_layer("small").layers
    before = {x.name: x.get_weights() for x in layers_inside}
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, size=(16, 20, 24, 3), dtype="uint8")
    saved.fit(x, np.eye(2)[np.arange(16) % 2], batch_size=8, verbose=0)
    for layer in layers_inside:
        for old, new in zip(
            before[layer.name], layer.get_weights(), strict=True
        ):
            same = np.array_equal(old, new)
            assert same == (f"small/{layer.name}" in frozen), layer.name


def test_layers_inside_a_residual_block_are_frozen_one_by_one():
    x = keras.Input((4,))
    y = keras.Input((4,), name="inside")
    z = layers.BatchNormalization(name="bn")(layers.Dense(4, name="a")(y))
    branch = keras.Model(y, z, name="branch")
    block = StochasticResidual(branch, rate=0.5, name="block")
    model = keras.Model(x, layers.Dense(2, name="logits")(block(x)))
    assert freeze(model, "block/bn") == ["block/a", "block/bn"]
    assert freeze(model, "block/b*") == ["block/bn"]
    model.compile("sgd", "mse")
    before = branch.get_layer("bn").get_weights()
    rng = np.random.default_rng(0)
    model.fit(rng.normal(1, 2, (32, 4)), rng.normal(size=(32, 2)), verbose=0)
    for old, new in zip(
        before, branch.get_layer("bn").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(old, new)


def test_a_layer_that_two_models_share_is_frozen_by_either_name():
    shared = layers.Dense(3, name="shared")
    a, b, x = keras.Input((3,)), keras.Input((3,)), keras.Input((3,))
    one = keras.Model(a, shared(a), name="one")
    two = keras.Model(b, layers.ReLU()(shared(b)), name="two")
    model = keras.Model(x, layers.Dense(1, name="logits")(two(one(x))))
    assert freeze(model, "one/*") == ["one/shared", "two/shared"]
    assert not shared.trainable_variables


def test_a_name_inside_an_inner_model_needs_the_name_of_this_model(saved):
    with pytest.raises(ValueError, match="did you mean 'small/conv_4'"):
        freeze(saved, "conv_4")


def test_the_report_counts_layers_of_inner_models(saved):
    freeze(saved, "small/bn_8")
    assert trainable_report(saved).endswith(
        "10 of 271 parameters train, in 1 of 7 layers with weights."
    )


def test_seeds_are_no_parameters():
    x = keras.Input((3,))
    y = layers.Dropout(0.5)(layers.Dense(2, use_bias=False)(x))
    assert trainable_report(keras.Model(x, y)).startswith("6 of 6 parameters")


def test_a_compiled_model_trains_what_was_thawed_and_nothing_else(model):
    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, size=(16, 16, 16, 3)).astype("float32")
    y = rng.normal(size=(16, 2))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.optimizer.build(model.trainable_variables)  # else it traces twice
    model.train_on_batch(x, y)
    for change, frozen in (
        (lambda: freeze(model, "stride_8"), WEIGHTED[:6]),
        (lambda: freeze(model, "stride_2"), WEIGHTED[:2]),
        (lambda: unfreeze(model), []),
    ):
        change()
        before = {layer.name: layer.get_weights() for layer in model.layers}
        model.train_on_batch(x, y)
        for layer in model.layers:
            pairs = zip(before[layer.name], layer.get_weights(), strict=True)
            for old, new in pairs:
                same = np.array_equal(old, new)
                assert same == (layer.name in frozen), layer.name


def moments(model, part):
    """Slots of the optimizer of variables with a part in their path."""
    return {
        x.name: keras.ops.convert_to_numpy(x)
        for x in model.optimizer.variables
        if part in x.name
    }


@pytest.mark.slow(ci=True)
def test_a_model_loaded_in_the_middle_of_training_keeps_its_slots(
    model, tmp_path
):
    outer = raw_input_model(model)
    outer.compile(keras.optimizers.Adam(0.01), "mse")
    outer.optimizer.build(outer.trainable_variables)  # else it traces twice
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, size=(8, 16, 16, 3), dtype="uint8")
    y = rng.normal(size=(8, 2))
    outer.fit(x, y, batch_size=4, verbose=0)
    outer.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    before = moments(loaded, "conv_8")
    assert len(before) == 4 and all(x.any() for x in before.values())
    freeze(loaded, "stride_4")
    after = moments(loaded, "conv_8")
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    assert int(loaded.optimizer.iterations) == 2
    assert moments(loaded, "conv_4") == {}
    loaded.fit(x, y, batch_size=4, verbose=0)
    small = loaded.get_layer("small")
    np.testing.assert_array_equal(
        small.get_layer("bn_4").moving_mean, model.get_layer("bn_4").moving_mean
    )


def test_a_compiled_model_that_cannot_be_compiled_again_stays_as_it_was(model):
    freeze(model, "bn_*")
    model.compile("sgd", loss=lambda y, z: keras.ops.mean((y - z) ** 2))
    optimizer = model.optimizer
    with pytest.raises(ValueError, match="cannot be compiled again, because"):
        freeze(model, "all")
    assert thawed(model) == ["conv_2", "conv_4", "conv_8", "logits"]
    assert model.compiled and model.optimizer is optimizer


@pytest.mark.parametrize(
    ("up_to", "error", "sentence"),
    [
        ("stride_3", ValueError, r"level of small \(stride_2, stride_4, str"),
        ("stride_16", ValueError, "level of small.*up_to='stride_16'"),
        ("block_1", ValueError, "'head', 'all', a level .*up_to='block_1'"),
        ("convolution*", ValueError, "name or pattern of a layer of small"),
        (lambda layer: False, ValueError, "chose no layer of small"),
        (3, TypeError, "must be a string or a function .*up_to=3"),
        (None, TypeError, "must be a string or a function .*up_to=None"),
    ],
)
def test_a_word_without_a_meaning_is_refused(model, up_to, error, sentence):
    with pytest.raises(error, match=sentence):
        freeze(model, up_to)
    assert thawed(model) == WEIGHTED


def vectors():
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2, name="logits")(x))


def two_inputs():
    x, y = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    return keras.Model([x, y], layers.Conv2D(1, 2, name="logits")(x + y))


def any_height():
    x = keras.Input((None, None, 3))
    return keras.Model(x, layers.Conv2D(1, 2, 2, name="logits")(x))


@pytest.mark.parametrize("build", [vectors, two_inputs, any_height])
def test_a_model_without_levels_is_frozen_by_other_words(build):
    model = build()
    with pytest.raises(ValueError, match=r"level of .*\(it has none\)"):
        freeze(model, "stride_2")
    assert freeze(model, "all") == ["logits"]


def test_a_layer_that_is_called_twice_is_no_obstacle():
    x = keras.Input((8, 8, 2))
    pool, conv = layers.MaxPooling2D(), layers.Conv2D(2, 1, name="conv")
    model = keras.Model(x, conv(pool(conv(x))))
    assert freeze(model, "conv") == ["conv"]


def test_a_model_without_weights_has_no_head_to_spare():
    x = keras.Input((4,))
    assert freeze(keras.Model(x, layers.ReLU()(x)), "head") == []


def test_the_report_counts_parameters_and_layers(model):
    freeze(model, "stride_4")
    # 3 x 3 x 3 x 4 + 4, twice 4 of the norm, 4 x 2 + 2 of the head.
    trained = 112 + 8 + 10
    everything = (54 + 2) + 8 + (54 + 3) + 12 + 112 + 16 + 10
    assert trainable_report(model) == (
        f"{trained} of {everything} parameters train, in 3 of 7 layers with "
        "weights."
    )
