import keras
import numpy as np

from dropzoo.models.replay import replay, stable_names
from dropzoo.models.variable_names import variables_of


def network():
    x = keras.Input((4,))
    y = keras.layers.Dense(4)(x)
    y = keras.layers.Dense(4, name="own")(y) + x
    inner = keras.Sequential(
        [keras.layers.Dense(4), keras.layers.ReLU(name="act")]
    )
    z = keras.Input((4,))
    functional = keras.Model(z, keras.layers.Dense(4)(z) + z)
    return keras.Model(x, functional(inner(y)))


def copy(operation, read):
    """A layer made again, with its weights."""
    if not isinstance(operation, keras.Layer):
        return operation
    new = type(operation).from_config(operation.get_config())
    new.build(read.shape)
    new.set_weights(operation.get_weights())
    return new


def test_what_is_made_again_computes_the_same():
    model = network()
    start = keras.Input((4,))
    end = replay(start, model.inputs[0], model.outputs[0], copy)
    again = keras.Model(start, end)
    x = np.random.default_rng(0).normal(size=(2, 4))
    np.testing.assert_array_equal(again(x), model(x))
    assert not any(isinstance(y, keras.Model) for y in again.layers)


def test_layers_that_are_not_made_hand_on_what_comes():
    model = network()
    start = keras.Input((4,))

    def nothing_but_sums(operation, read):
        return None if isinstance(operation, keras.Layer) else operation

    end = replay(start, model.inputs[0], model.outputs[0], nothing_but_sums)
    x = np.ones((1, 4))
    np.testing.assert_array_equal(keras.Model(start, end)(x), 4 * x)


def test_each_layer_is_shown_what_it_reads():
    model = network()
    seen = {}

    def make(operation, read):
        seen[operation.name] = read
        return copy(operation, read)

    replay(keras.Input((4,)), model.inputs[0], model.outputs[0], make)
    (own,) = (x for x in model.layers if x.name == "own")
    assert seen["own"] is own.input


def test_names_are_numbered_in_the_model_alone():
    names = [list(stable_names(network()).values()) for _ in range(2)]
    assert names[0] == names[1]
    assert set(names[0]) >= {"dense", "own", "add", "dense_1", "act", "add_1"}


class Nameless(keras.Layer):
    """A layer whose variables have no names."""

    def build(self, input_shape):
        self.first = self.add_weight(shape=(1,))
        self.second = self.add_weight(shape=(2,))
        self.third = self.add_weight(shape=(3,), name="third")


def test_variables_without_a_name_are_numbered_in_their_layer():
    for _ in range(2):
        layer = Nameless()
        layer.build((None, 1))
        variables = variables_of(layer)
        assert list(variables) == ["weight1", "weight2", "third"]
        assert list(variables.values()) == layer.weights
