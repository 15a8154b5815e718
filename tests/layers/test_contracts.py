"""What every layer promises, whatever it does: one check per promise."""

import inspect
import json
import math
import random

import keras
import numpy as np
import pytest

from dropzoo import layers

FLAT, LINE, MAP, VOLUME = (12,), (9, 4), (9, 8, 4), (5, 6, 7, 4)


def residual(**options):
    inputs = keras.Input(MAP)
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    branch = keras.Model(inputs, layers.StochasticDepth(0.1)(x))
    return layers.StochasticResidual(branch, rate=0.5, **options)


def connected(**options):
    return layers.DropConnect(keras.layers.Dense(3), 0.5, **options)


def dense(**options):
    return layers.DropConnectDense(6, "relu", **options)


def convolution(**options):
    return layers.DropConnectConv2D(5, 3, activation="relu", **options)


def blocks(**options):
    return layers.DropBlock2D(0.3, block_size=3, **options)


# How to make each layer, and the shape of one sample that it takes.
LAYERS = {
    "StochasticPooling1D": (layers.StochasticPooling1D, LINE),
    "StochasticPooling2D": (layers.StochasticPooling2D, MAP),
    "StochasticPooling3D": (layers.StochasticPooling3D, VOLUME),
    "FractionalMaxPooling1D": (layers.FractionalMaxPooling1D, LINE),
    "FractionalMaxPooling2D": (layers.FractionalMaxPooling2D, MAP),
    "FractionalMaxPooling3D": (layers.FractionalMaxPooling3D, VOLUME),
    "FractionalAveragePooling2D": (layers.FractionalAveragePooling2D, MAP),
    "DropConnectDense": (dense, FLAT),
    "DropConnectConv2D": (convolution, MAP),
    "DropConnect": (connected, MAP),
    "StochasticDepth": (lambda **o: layers.StochasticDepth(0.5, **o), MAP),
    "StochasticResidual": (residual, MAP),
    "Maxout": (layers.Maxout, MAP),
    "LocalResponseNormalization": (layers.LocalResponseNormalization, MAP),
    "MaxDrop": (lambda **o: layers.MaxDrop(0.5, **o), MAP),
    "DropBlock2D": (blocks, MAP),
}
RANDOM = sorted(LAYERS.keys() - {"LocalResponseNormalization", "Maxout"})

every_layer = pytest.mark.parametrize("name", sorted(LAYERS))
every_random_layer = pytest.mark.parametrize("name", RANDOM)


def make(name, /, **options):
    """A layer with a fixed seed, where it has one."""
    if name in RANDOM:
        options = {"seed": 1, **options}
    return LAYERS[name][0](**options)


def images(name, count=6, seed=0):
    """Activations as a ReLU leaves them: a share of zeros, the rest above."""
    shape = (count, *LAYERS[name][1])
    values = np.random.default_rng(seed).normal(0.5, 1, size=shape)
    return np.maximum(values, 0).astype("float32")


def test_every_public_layer_is_here():
    public = {name for name in dir(layers) if name[0].isupper()}
    assert public == LAYERS.keys()


@every_layer
def test_config_is_equal_before_and_after_build(name):
    layer = make(name)
    before = keras.saving.serialize_keras_object(layer)["config"]
    layer(images(name), training=True)
    after = keras.saving.serialize_keras_object(layer)["config"]
    assert after == before


@every_layer
def test_config_holds_every_argument(name):
    parameters = inspect.signature(getattr(layers, name)).parameters
    assert parameters.keys() - {"kwargs"} <= make(name).get_config().keys()


@every_layer
def test_a_saved_model_comes_back(name, tmp_path):
    inputs = keras.Input(LAYERS[name][1])
    model = keras.Model(inputs, make(name, name="layer")(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    config = keras.saving.serialize_keras_object(model.get_layer("layer"))
    restored = keras.saving.serialize_keras_object(again.get_layer("layer"))
    assert restored["registered_name"] == config["registered_name"]
    # Compared as JSON, which has no tuples.
    assert json.dumps(restored["config"]) == json.dumps(config["config"])
    x = images(name)
    np.testing.assert_allclose(
        again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6
    )


@every_layer
@pytest.mark.parametrize("training", [True, False])
def test_what_comes_out_has_the_shape_that_was_computed(name, training):
    x = images(name)
    layer = make(name)
    symbolic = layer(keras.Input(x.shape[1:]))
    output = layer(x, training=training)
    assert tuple(output.shape) == layer.compute_output_shape(x.shape)
    assert symbolic.shape == (None, *output.shape[1:])
    assert layer.compute_output_shape((None, *x.shape[1:])) == symbolic.shape


@every_layer
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_computes_in_half(name, policy, to_numpy):
    # The branch of a residual takes the global policy, as a user would set it.
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layer = make(name)
        output = layer(images(name), training=True)
    finally:
        keras.config.set_dtype_policy(before)
    dtype = keras.backend.standardize_dtype(output.dtype)
    assert dtype == policy.removeprefix("mixed_")
    assert np.isfinite(to_numpy(output)).all()
    for weight in layer.trainable_weights:
        assert weight.dtype == "float32"


@every_layer
@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_finite_and_not_all_zero(name, training, gradient):
    x = images(name)
    layer = make(name)
    layer(x)  # built before: JAX builds no variable inside a gradient
    slopes = gradient(lambda x: layer(x, training=training), x)
    assert slopes.shape == x.shape
    assert np.isfinite(slopes).all()
    assert np.abs(slopes).max() > 0


@every_layer
@pytest.mark.parametrize("training", [True, False])
def test_an_empty_batch_gives_an_empty_batch(name, training):
    layer = make(name)
    layer(images(name))
    output = layer(images(name, count=0), training=training)
    assert output.shape[0] == 0
    assert tuple(output.shape) == layer.compute_output_shape(
        (0, *LAYERS[name][1])
    )


def draws(layer, name, times=4):
    """Several training passes over the same activations, stacked."""
    x = images(name)
    passes = [layer(x, training=True) for _ in range(times)]
    return np.stack([keras.ops.convert_to_numpy(y) for y in passes])


@every_random_layer
def test_each_step_draws_anew(name):
    passes = draws(make(name), name, times=8)
    assert (passes != passes[:1]).any()


@every_random_layer
def test_equal_seeds_draw_the_same(name):
    random.seed(0)
    first = draws(make(name), name)
    random.seed(0)
    np.testing.assert_array_equal(draws(make(name), name), first)


@every_random_layer
def test_layers_without_a_seed_draw_their_own(name):
    first, second = make(name, seed=None), make(name, seed=None)
    x = images(name)
    first(x), second(x)
    second.set_weights(first.get_weights())
    one, other = draws(first, name, 8), draws(second, name, 8)
    assert (one != other).any()


def four_classes(count=16):
    """Images, and labels that a network may learn by heart."""
    x = np.random.default_rng(0).normal(size=(count, 9, 8, 4))
    return x.astype("float32"), np.arange(count) % 4


def all_in_one_model():
    """Every layer once, each in a nested model, summed into four classes."""
    inputs = keras.Input((9, 8, 4))
    outputs = []
    for name in sorted(LAYERS):
        own = keras.Input(LAYERS[name][1])
        nested = keras.Model(own, make(name)(own), name=f"nested_{name}")
        x = keras.layers.Flatten()(inputs)
        x = keras.layers.Dense(math.prod(own.shape[1:]), "relu")(x)
        x = nested(keras.layers.Reshape(own.shape[1:])(x))
        x = keras.layers.Flatten(name=name)(x)
        outputs.append(keras.layers.Dense(4)(x))
    return keras.Model(inputs, keras.layers.Add(name="add")(outputs))


# Without XLA, JAX trains operation by operation, as the tests above call it.
@pytest.mark.slow(ci=True)
@pytest.mark.parametrize(
    "jit_compile",
    [True] if keras.backend.backend() == "jax" else [False, True],
)
def test_all_layers_train_together_from_a_dataset(jit_compile):
    import tensorflow as tf

    model = all_in_one_model()
    model.compile(
        keras.optimizers.SGD(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    model.optimizer.build(model.trainable_variables)  # else it traces twice
    images = tf.data.Dataset.from_tensor_slices(four_classes(32))
    # 16 and 16: XLA compiles for every batch size anew.
    fitted = model.fit(images.batch(16), epochs=4, shuffle=False, verbose=0)
    losses = fitted.history["loss"]
    assert losses[-1] < 0.8 * losses[0]
