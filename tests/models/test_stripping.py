import subprocess
import sys

import keras
import numpy as np
import pytest

from dropzoo import layers
from dropzoo.layers import StochasticDepth
from dropzoo.models.portability import why_not_portable
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


def numbers(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def randomize(model):
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def branch():
    """A branch whose own layers draw too."""
    return keras.Sequential(
        [
            keras.layers.Dense(4, name="inside"),
            layers.StochasticDepth(0.2, name="inner_drop"),
        ]
    )


TAKEN_OUT = [
    (layers.DropBlock2D(0.2), (6, 6, 2)),
    (layers.DropBlock2D(0.2, warmup_steps=5), (6, 6, 2)),
    (layers.MaxDrop(0.2), (6, 6, 2)),
]
MADE_PLAIN = [
    (layers.DropConnectDense(3, "relu", rate=0.2, name="x"), (4,)),
    (layers.DropConnectDense(3, rate=0.2, use_bias=False, name="x"), (4,)),
    (layers.DropConnectConv2D(3, 3, rate=0.2, name="x"), (6, 6, 2)),
    (
        layers.DropConnectDense(3, rate=0, inference="gaussian", name="x"),
        (4,),
    ),
    (
        layers.DropConnect(keras.layers.DepthwiseConv2D(3), 0.2, name="x"),
        (6, 6, 2),
    ),
]
SCALED = [
    (layers.DropConnectDense(3, rate=0.2, scale="inference", name="x"), (4,)),
    (
        layers.DropConnectDense(
            3, rate=0.2, scale="inference", drop_bias=False, name="x"
        ),
        (4,),
    ),
    (
        layers.DropConnectConv2D(3, 3, rate=0.2, scale="inference", name="x"),
        (6, 6, 2),
    ),
    (
        layers.DropConnect(
            keras.layers.Dense(3), 0.2, scale="inference", name="x"
        ),
        (4,),
    ),
]
RESIDUAL = [
    layers.StochasticResidual(branch(), rate=0.3, name="x"),
    layers.StochasticResidual(
        branch(), keras.layers.Dense(4), rate=0.3, activation="relu", name="x"
    ),
    layers.StochasticResidual(
        keras.layers.Dense(4), rate=0.3, scale="inference", name="x"
    ),
]


def around(layer, size):
    x = keras.Input(size)
    return randomize(keras.Model(x, layer(x)))


@pytest.mark.parametrize(("layer", "size"), TAKEN_OUT)
def test_layers_that_are_the_identity_are_left_out(layer, size):
    x = keras.Input(size)
    model = keras.Model(x, layer(x))
    stripped = strip_training_layers(model)
    assert len(stripped.layers) == 1 and stripped.weights == []
    x = numbers(2, *size)
    np.testing.assert_array_equal(stripped(x), model(x))


@pytest.mark.parametrize(("layer", "size"), [*MADE_PLAIN, *SCALED])
def test_layers_that_drop_weights_become_plain(layer, size):
    model = around(layer, size)
    stripped = strip_training_layers(model)
    plain = stripped.get_layer("x")
    assert why_not_portable(stripped) == {}
    assert [w.shape for w in plain.weights] == [w.shape for w in layer.weights]
    x = numbers(2, *size)
    np.testing.assert_allclose(stripped(x), model(x), rtol=1e-5, atol=1e-6)
    if layer.scale == "training":
        np.testing.assert_array_equal(stripped(x), model(x))


@pytest.mark.parametrize("layer", RESIDUAL)
def test_residual_blocks_become_their_layers_and_an_addition(layer):
    model = around(layer, (4,))
    stripped = strip_training_layers(model)
    assert why_not_portable(stripped) == {}
    assert type(stripped.get_layer("x")) is keras.layers.Add
    x = numbers(2, 4)
    np.testing.assert_array_equal(stripped(x), model(x))


def test_the_layers_of_a_branch_keep_their_names():
    stripped = strip_training_layers(around(RESIDUAL[0], (4,)))
    assert [x.name for x in stripped.layers[1:]] == ["inside", "x"]


def test_a_branch_whose_names_are_taken_stays_a_model():
    x = keras.Input((4,))
    y = keras.layers.Dense(4, name="inside")(x)
    y = layers.StochasticResidual(branch(), rate=0.3, name="x")(y)
    model = randomize(keras.Model(x, y))
    stripped = strip_training_layers(model)
    assert why_not_portable(stripped) == {}
    assert len(stripped.weights) == len(model.weights)
    data = numbers(2, 4)
    np.testing.assert_array_equal(stripped(data), model(data))


def test_what_computes_at_inference_stays():
    x = keras.Input((8, 8, 2))
    y = layers.StochasticPooling2D(name="pool")(x)
    y = keras.layers.Flatten()(layers.DropBlock2D(0.1)(y))
    y = layers.DropConnectDense(3, inference="gaussian", name="dense")(y)
    model = randomize(keras.Model(x, y))
    stripped = strip_training_layers(model)
    assert set(why_not_portable(stripped)) == {"pool", "dense"}
    data = numbers(2, 8, 8, 2)
    np.testing.assert_array_equal(stripped(data), model(data))


def test_a_block_that_is_called_twice_stays():
    x = keras.Input((4,))
    block = layers.StochasticResidual(branch(), rate=0.3, name="x")
    model = randomize(keras.Model(x, block(block(x))))
    stripped = strip_training_layers(model)
    assert set(why_not_portable(stripped)) == {"x"}
    data = numbers(2, 4)
    np.testing.assert_array_equal(stripped(data), model(data))


def test_what_has_no_graph_is_left_as_it_is():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    model = Own()
    assert strip_training_layers(model) is model


@pytest.mark.slow  # starts another Python with TensorFlow
def test_keras_alone_loads_what_was_stripped(tmp_path):
    x = keras.Input((6, 6, 2))
    y = keras.layers.Flatten()(layers.DropBlock2D(0.1)(x))
    y = layers.DropConnectDense(4, name="dense")(y)
    y = layers.StochasticResidual(branch(), rate=0.3, name="x")(y)
    strip_training_layers(keras.Model(x, y)).save(tmp_path / "plain.keras")
    source = (
        "import sys, keras\n"
        f"model = keras.saving.load_model({str(tmp_path / 'plain.keras')!r})\n"
        "print(len(model.layers), 'dropzoo' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True
    )
    assert run.stdout == "5 False\n", run.stderr
