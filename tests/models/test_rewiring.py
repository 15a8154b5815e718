"""A model that is built anew is the same, and another."""

import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.layers import StochasticResidual
from dropzoo.models.edits import Edits
from dropzoo.models.rewiring import rewire


def set_random_weights(model):
    rng = np.random.default_rng(0)
    for variable in model.weights:
        values = rng.normal(size=variable.shape)
        is_variance = variable.name == "moving_variance"
        variable.assign(np.exp(values) if is_variance else values)
    return model


def numbers(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def convolutional():
    x = keras.Input((8, 8, 3), name="images")
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(x)
    y = layers.BatchNormalization(name="norm")(y)
    y = y * layers.Conv2D(4, 1, activation="sigmoid", name="gate")(y) + 0.5
    y = layers.GlobalAveragePooling2D(name="pool")(y[:, 1:])
    return keras.Model(x, layers.Dense(3, name="dense")(y), name="plain")


def shared():
    x = keras.Input((4,))
    layer = layers.Dense(4, name="shared")
    return keras.Model(x, layer(keras.ops.relu(layer(x))))


def nested():
    x = keras.Input((4,), name="x")
    entry = keras.Input((4,), name="entry")
    inner = keras.Model(entry, layers.Dense(4)(entry), name="inner")
    sequential = keras.Sequential(
        [layers.Dense(4), layers.BatchNormalization()], name="sequential"
    )
    block = StochasticResidual(layers.Dense(4), rate=0.3, name="block")
    return keras.Model(x, block(sequential(inner(inner(x)))))


def several_ends():
    inputs = {
        "one": keras.Input((4,), name="one"),
        "two": keras.Input((4,), name="two"),
    }
    total = layers.Add()([inputs["one"], layers.Dense(4)(inputs["two"])])
    outputs = {"sum": total, "last": layers.Dense(2)(total)}
    return keras.Model(inputs, outputs, name="several_ends")


def sequential():
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="dense")], name="sequential"
    )


def training_for_good():
    x = keras.Input((4,))
    return keras.Model(x, layers.BatchNormalization()(x, training=True))


CASES = [
    convolutional,
    shared,
    nested,
    several_ends,
    sequential,
    training_for_good,
]


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def model(request):
    return set_random_weights(request.param())


def inputs_of(model):
    if model.name == "several_ends":
        return {name: numbers(5, 4) for name in model.input}
    return numbers(5, *model.input_shape[1:])


def assert_equal(left, right):
    flat = keras.tree.flatten(left), keras.tree.flatten(right)
    for one, other in zip(*flat, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_a_copy_computes_the_same_bits(model):
    copy = rewire(model, Edits())
    x = inputs_of(model)
    left, right = model(x, training=False), copy(x, training=False)
    keras.tree.assert_same_structure(left, right)
    assert_equal(left, right)


def test_a_copy_shares_nothing(model):
    copy = rewire(model, Edits())
    assert not {id(v) for v in model.variables} & {
        id(v) for v in copy.variables
    }
    assert not {id(x) for x in model._flatten_layers()} & {
        id(x) for x in copy._flatten_layers()
    }


def test_a_copy_has_the_names_and_the_shapes(model):
    copy = rewire(model, Edits())
    assert copy.name == model.name
    assert [tuple(w.shape) for w in copy.weights] == [
        tuple(w.shape) for w in model.weights
    ]
    assert {x.name for x in model.layers} <= {x.name for x in copy.layers}


def test_the_original_is_called_no_more_than_before(model):
    every = model._flatten_layers(include_self=False)
    before = [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in every]
    rewire(model, Edits())
    assert before == [
        (len(x._inbound_nodes), len(x._outbound_nodes)) for x in every
    ]


def test_a_layer_that_is_called_twice_stays_one_layer():
    copy = rewire(shared(), Edits())
    assert len(copy.weights) == 2


def test_flags_are_copied_one_by_one():
    model = nested()
    model.trainable = False
    model.get_layer("sequential").trainable = True
    model.get_layer("sequential").layers[1].trainable = False
    copy = rewire(model, Edits())

    def flags(model):
        return [
            layer.trainable
            for layer in model._flatten_layers()
            if not isinstance(layer, layers.InputLayer)
        ]

    assert flags(copy) == flags(model)
    assert sorted(set(flags(model))) == [False, True]


def test_types_of_numbers_are_copied():
    x = keras.Input((4,), dtype="uint8", name="bytes")
    y = layers.Rescaling(1 / 255)(x)
    y = layers.Dense(4, dtype="mixed_float16", name="half")(y)
    model = keras.Model(x, layers.Dense(2, dtype="float32")(y))
    copy = rewire(model, Edits())
    assert copy.input.dtype == "uint8"
    assert copy.get_layer("half").dtype_policy.name == "mixed_float16"
    data = np.arange(8, dtype="uint8").reshape(2, 4)
    assert_equal(model(data), copy(data))


def adapted_normalization():
    layer = layers.Normalization(name="adapted")
    layer.adapt(3 + 2 * numbers(50, 4))
    return layer, (4,), "float32", numbers(2, 4)


def adapted_bins():
    layer = layers.Discretization(num_bins=4, name="adapted")
    layer.adapt(numbers(50, 4))
    return layer, (4,), "float32", numbers(2, 4)


def adapted_vocabulary():
    layer = layers.IntegerLookup(output_mode="multi_hot", name="adapted")
    layer.adapt(np.array([[3, 1, 7, 7]]))
    return layer, (4,), "int64", np.array([[1, 7, 7, 2]])


@pytest.mark.parametrize(
    "build", [adapted_normalization, adapted_bins, adapted_vocabulary]
)
def test_what_a_layer_was_adapted_to_is_copied(build):
    layer, size, dtype, data = build()
    x = keras.Input(size, dtype=dtype)
    model = keras.Model(x, layer(x))
    copy = rewire(model, Edits())
    assert_equal(model(data), copy(data))
    assert copy.get_layer("adapted") is not layer


class WithoutConfig(layers.Layer):
    """Takes what no config can name."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


class Forgetful(layers.Layer):
    """Does not tell its number of units."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units))

    def call(self, inputs):
        return inputs @ self.kernel

    def get_config(self):
        return {"name": self.name}


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (WithoutConfig(abs, name="odd"), "'odd' cannot be copied.*get_config"),
        (layers.Lambda(lambda x: x, name="odd"), "'odd' cannot be copied"),
        (Forgetful(3, name="odd"), "'odd' cannot be copied.*other weights"),
    ],
)
def test_a_layer_that_does_not_come_back_is_refused(layer, sentence):
    x = keras.Input((4,))
    with pytest.raises(ValueError, match=sentence) as error:
        rewire(keras.Model(x, layer(x)), Edits())
    assert "\n" not in str(error.value)


class Nameless(layers.Layer):
    """Leaves its name out of its config."""

    def call(self, inputs):
        return inputs

    def get_config(self):
        return {}


def test_a_name_that_a_config_lacks_is_kept():
    x = keras.Input((4,))
    copy = rewire(keras.Model(x, Nameless(name="mine")(x)), Edits())
    assert copy.layers[-1].name == "mine"
