import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.models import freeze, trainable_report, unfreeze
from dropzoo.models.freezing import levels


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


def test_a_compiled_model_is_refused_and_stays_as_it_was(model):
    model.compile("sgd", "mse")
    for change in (lambda: freeze(model, "all"), lambda: unfreeze(model)):
        with pytest.raises(RuntimeError, match="`model` must not be compiled"):
            change()
    assert thawed(model) == WEIGHTED


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


def test_levels_name_the_last_layer_of_each_resolution(model):
    assert levels(model) == {
        "stride_2": "relu_2",
        "stride_4": "relu_4",
        "stride_8": "relu_8",
    }


def test_odd_sizes_round_to_the_nearest_level():
    x = keras.Input((15, 15, 1))
    y = layers.MaxPooling2D(2, padding="same", name="a")(x)  # 8 of 15
    y = layers.MaxPooling2D(2, name="b")(y)  # 4
    y = layers.MaxPooling2D(3, name="c")(y)  # 1, as small as stride 16
    assert levels(keras.Model(x, y)) == {
        "stride_2": "a",
        "stride_4": "b",
        "stride_16": "c",
    }


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
def test_without_one_image_of_fixed_height_there_are_no_levels(build):
    model = build()
    assert levels(model) == {}
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
