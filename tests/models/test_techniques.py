import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.layers import (
    DropBlock2D,
    DropConnectDense,
    FractionalMaxPooling2D,
    StochasticDepth,
    StochasticPooling2D,
)
from dropzoo.models import Techniques
from dropzoo.models.techniques import RATES, check_rate

KINDS = {
    "max": layers.MaxPooling2D,
    "average": layers.AveragePooling2D,
    "stochastic": StochasticPooling2D,
    "fractional": FractionalMaxPooling2D,
}


def made_by(tensor):
    return tensor._keras_history.operation


def a_map():
    return keras.Input((12, 12, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_the_pooling_asked_for_takes_the_place_of_the_networks_own(kind):
    for own in KINDS:
        layer = made_by(Techniques(pooling=kind).pool(a_map(), "p", own=own))
        assert type(layer) is KINDS[kind] and layer.name == "p"
        assert (
            type(made_by(Techniques().pool(a_map(), "p", own=own)))
            is (KINDS[own])
        )


def test_fractional_pooling_shrinks_by_the_root_of_two_or_as_asked():
    techniques = Techniques(pooling="fractional")
    assert techniques.pool(a_map(), "p").shape == (None, 8, 8, 4)
    size = (9, 7)
    assert techniques.pool(a_map(), "p", output_size=size).shape[1:3] == size


def test_what_does_not_shrink_does_not_become_fractional():
    x = Techniques(pooling="fractional").pool(
        a_map(), "p", size=3, strides=1, padding="same"
    )
    assert type(made_by(x)) is layers.MaxPooling2D
    assert x.shape == (None, 12, 12, 4)


def test_by_default_nothing_is_dropped():
    techniques, x = Techniques(), a_map()
    assert techniques.drop_blocks(x, "b") is x
    assert techniques.drop_depth(x, "d", 0.0) is x
    assert techniques.dropout(x, "o", 0.0) is x
    assert techniques.depth_rates(3, "paper") == (0, 0, 0)
    dense = made_by(techniques.dense(keras.Input((4,)), 2, "dense"))
    assert type(dense) is layers.Dense


def test_rates_reach_their_layers_with_seeds_of_their_own():
    techniques = Techniques(
        stochastic_depth=0.4, dropconnect=0.3, drop_block=0.2, seed=1
    )
    x = a_map()
    drops = [
        made_by(techniques.drop_blocks(x, "blocks", size=3)),
        made_by(techniques.drop_depth(x, "depth", 0.1)),
        made_by(techniques.dropout(x, "dropout", 0.5)),
        made_by(techniques.dropout(x, "maps", 0.6, whole_maps=True)),
        made_by(techniques.dense(keras.Input((4,)), 2, "dense")),
    ]
    assert [type(layer) for layer in drops] == [
        DropBlock2D,
        StochasticDepth,
        layers.Dropout,
        layers.SpatialDropout2D,
        DropConnectDense,
    ]
    assert [layer.rate for layer in drops] == [0.2, 0.1, 0.5, 0.6, 0.3]
    assert len({layer.seed for layer in drops}) == len(drops)
    rates = techniques.depth_rates(4, "paper")
    assert rates == pytest.approx((0.1, 0.2, 0.3, 0.4))


def test_an_activation_takes_the_place_of_the_networks_own():
    own = made_by(Techniques().activate(a_map(), "a", own="relu6"))
    other = made_by(Techniques(activation="elu").activate(a_map(), "a"))
    assert own.activation is keras.activations.relu6
    assert other.activation is keras.activations.elu


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="`activation` .*activation='reluu'"):
        Techniques(activation="reluu").activate(a_map(), "a")


def test_an_unknown_pooling_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match="'stochastic', .*pooling='median'"):
        Techniques(pooling="median")


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("rate", [-0.1, 1, 2.0, float("nan")])
def test_a_rate_outside_its_range_is_refused(name, rate):
    with pytest.raises(ValueError, match=rf"`{name}` must be in \[0, 1\)"):
        Techniques(**{name: rate})


@pytest.mark.parametrize("rate", ["0.5", None, (0.1, 0.2)])
def test_what_is_no_number_is_no_rate(rate):
    with pytest.raises(TypeError, match="`dropout` must be a number"):
        check_rate("dropout", rate)


def test_numbers_of_numpy_are_rates():
    assert Techniques(drop_block=np.float32(0.5)).drop_block == 0.5
