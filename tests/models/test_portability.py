import keras
import pytest

from dropzoo import layers
from dropzoo.models.portability import why_not_portable


def reasons(layer, size):
    x = keras.Input(size)
    return why_not_portable(keras.Model(x, layer(x)))


@pytest.mark.parametrize(
    ("layer", "size", "reason"),
    [
        (layers.StochasticPooling1D(name="x"), (8, 2), "weighted mean"),
        (layers.StochasticPooling2D(name="x"), (8, 8, 2), "weighted mean"),
        (layers.FractionalMaxPooling2D(name="x"), (8, 8, 2), "uneven size"),
        (layers.Maxout(4, name="x"), (8,), "maximum over groups"),
        (
            layers.DropConnectDense(3, inference="gaussian", name="x"),
            (8,),
            "averages its activation",
        ),
        (layers.StochasticDepth(0.1, name="x"), (8,), "not Keras's own"),
    ],
)
def test_every_layer_of_ours_has_a_reason_to_stay(layer, size, reason):
    ((name, sentence),) = reasons(layer, size).items()
    assert name == "x" and reason in sentence


def test_a_layer_inside_another_is_seen():
    block = layers.StochasticResidual(keras.layers.Dense(4), rate=0.1, name="a")
    wrapped = keras.layers.TimeDistributed(layers.Maxout(4, name="b"))
    assert set(reasons(block, (4,))) == {"a"}
    assert set(reasons(wrapped, (5, 4))) == {"b"}


def test_layers_of_keras_have_none():
    assert reasons(keras.layers.Dense(2), (4,)) == {}
