import keras
import numpy as np
import pytest

from dropzoo.layers import StochasticDepth
from dropzoo.models.stripping import strip_training_layers


def residual(scale, seed=0):
    """Two residual blocks with depth drops, and random weights."""
    x = keras.Input((4,), name="x")
    y = x
    for number in range(2):
        branch = keras.layers.Dense(4, name=f"dense_{number}")(y)
        branch = StochasticDepth(0.4, scale=scale, name=f"drop_{number}")(
            branch
        )
        y = keras.layers.Add(name=f"add_{number}")([y, branch])
    model = keras.Model(x, y, name="residual")
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("scale", ["training", "inference"])
def test_the_copy_computes_the_same_with_layers_of_keras_alone(scale):
    model = residual(scale)
    stripped = strip_training_layers(model)
    own = [
        layer
        for layer in stripped.layers
        if not type(layer).__module__.startswith("keras.")
    ]
    assert own == []
    x = np.random.default_rng(1).normal(size=(5, 4)).astype("float32")
    expected = model(x, training=False)
    np.testing.assert_allclose(stripped(x), expected, rtol=1e-6)
    # It cannot draw any more.
    np.testing.assert_array_equal(stripped(x, training=True), stripped(x))


def test_the_original_is_left_alone():
    model = residual("training")
    before = [w.copy() for w in model.get_weights()]
    stripped = strip_training_layers(model)
    stripped.set_weights([w + 1 for w in stripped.get_weights()])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert [x.name for x in stripped.layers] == [
        x.name for x in model.layers if not x.name.startswith("drop")
    ]


def test_a_model_without_such_layers_is_its_own_copy():
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dropout(0.5)(x))
    assert strip_training_layers(model) is model
