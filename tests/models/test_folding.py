"""Folded networks compute what they did before.

Kernels stay float32, so that outputs agree up to float32's rounding: for
values near 1 through a handful of layers that is 1e-5. With everything in
float64 the formula itself is checked, to 1e-12.
"""

import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.models import create_model, fold_batch_normalization
from dropzoo.models.folding import foldable


def randomise(model, seed=0):
    """Gives every variable a value that a trained network might have."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.name == "moving_variance":
            value = rng.uniform(0.1, 3, variable.shape)
        else:
            value = rng.normal(scale=0.5, size=variable.shape)
        if variable.dtype.startswith("float"):
            variable.assign(value)
    return model


def inputs_for(model, seed=1):
    rng = np.random.default_rng(seed)
    shape = [size or 5 for size in model.input_shape]
    return rng.normal(size=shape).astype(model.input.dtype)


def assert_same_outputs(model, folded, tolerance=1e-5):
    x = inputs_for(model)
    before, after = model(x, training=False), folded(x, training=False)
    pairs = zip(
        keras.tree.flatten(before), keras.tree.flatten(after), strict=True
    )
    for old, new in pairs:
        np.testing.assert_allclose(new, old, rtol=tolerance, atol=tolerance)


def chain(layer, shape=(9, 9, 4), **norm):
    """A model of one layer, its BatchNorm and a ReLU."""
    x = keras.Input(shape)
    y = layers.BatchNormalization(name="bn", **norm)(layer(x))
    return randomise(keras.Model(x, layers.ReLU(name="relu")(y)))


LINEAR = {
    "conv": lambda **k: layers.Conv2D(6, 3, name="main", **k),
    "same strided": lambda **k: layers.Conv2D(
        6, 3, 2, padding="same", name="main", **k
    ),
    "dilated": lambda **k: layers.Conv2D(
        6, 3, dilation_rate=2, name="main", **k
    ),
    "grouped": lambda **k: layers.Conv2D(6, 3, groups=2, name="main", **k),
    "depthwise": lambda **k: layers.DepthwiseConv2D(3, name="main", **k),
    "depthwise of multiplier 2": lambda **k: layers.DepthwiseConv2D(
        3, depth_multiplier=2, name="main", **k
    ),
    "dense on maps": lambda **k: layers.Dense(6, name="main", **k),
}


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("kind", LINEAR)
def test_a_linear_layer_absorbs_its_norm(kind, use_bias):
    model = chain(LINEAR[kind](use_bias=use_bias))
    folded = fold_batch_normalization(model)
    assert [layer.name for layer in folded.layers][1:] == ["main", "relu"]
    assert_same_outputs(model, folded)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Conv1D(6, 3, name="main"), (9, 4)),
        (layers.Conv3D(6, 3, name="main"), (5, 5, 5, 4)),
        (layers.Dense(6, name="main"), (4,)),
    ],
)
def test_other_ranks_absorb_their_norm(layer, shape):
    model = chain(layer, shape)
    folded = fold_batch_normalization(model)
    assert len(folded.layers) == len(model.layers) - 1
    assert_same_outputs(model, folded)


@pytest.mark.parametrize("norm", [{"scale": False}, {"center": False}])
def test_a_norm_without_scale_or_centre_is_absorbed(norm):
    model = chain(LINEAR["conv"](), **norm)
    folded = fold_batch_normalization(model)
    assert len(folded.layers) == len(model.layers) - 1
    assert_same_outputs(model, folded)


@pytest.mark.parametrize("kind", ["conv", "depthwise of multiplier 2"])
def test_in_float64_the_formula_is_exact(kind):
    model = chain(LINEAR[kind](dtype="float64"), dtype="float64")
    assert_same_outputs(model, fold_batch_normalization(model), 1e-12)


def test_a_channel_of_no_variance_is_folded():
    model = chain(LINEAR["conv"](use_bias=False))
    norm = model.get_layer("bn")
    variance = keras.ops.convert_to_numpy(norm.moving_variance)
    variance[0] = 0
    norm.moving_variance.assign(variance)
    assert_same_outputs(model, fold_batch_normalization(model), 1e-4)


@pytest.mark.slow(ci=True)
def test_a_whole_network_of_the_zoo_keeps_only_convolutions():
    model = randomise(
        create_model("mobilenet_v2", num_classes=3, input_shape=(32, 32, 3))
    )
    # With random weights of this size activations would explode.
    for variable in model.trainable_variables:
        if variable.name == "kernel":
            fan_in = np.prod(variable.shape[:-1])
            variable.assign(variable / np.sqrt(fan_in) * 2)
    folded = fold_batch_normalization(model)
    kinds = {type(layer) for layer in folded.layers}
    assert layers.BatchNormalization not in kinds
    assert folded.name == model.name
    assert set(x.name for x in folded.layers) == {
        x.name for x in model.layers if not x.name.endswith("_bn")
    }
    assert_same_outputs(model, folded, 1e-4)


def test_the_copy_is_independent():
    model = chain(LINEAR["conv"]())
    x = inputs_for(model)
    before = np.asarray(model(x))
    weights = [w.copy() for w in model.get_weights()]
    folded = fold_batch_normalization(model)
    folded.set_weights([w + 1 for w in folded.get_weights()])
    folded.get_layer("main").trainable = False
    np.testing.assert_array_equal(model(x), before)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.get_layer("main").trainable
    assert model.get_layer("main").use_bias


def two_readers(x):
    y = layers.Conv2D(4, 3, name="main")(x)
    return layers.BatchNormalization(name="bn")(y) + y


def its_output_is_wanted_too(x):
    y = layers.Conv2D(4, 3, name="main")(x)
    return [layers.BatchNormalization(name="bn")(y), y]


def norm_first(x):
    y = layers.BatchNormalization(name="bn")(x)
    return layers.Conv2D(4, 3, name="main")(y)


def an_activation_between(x):
    y = layers.Conv2D(4, 3, activation="relu", name="main")(x)
    return layers.BatchNormalization(name="bn")(y)


def an_activation_layer_between(x):
    y = layers.ReLU()(layers.Conv2D(4, 3, name="main")(x))
    return layers.BatchNormalization(name="bn")(y)


def another_axis(x):
    y = layers.Conv2D(4, 3, name="main")(x)
    return layers.BatchNormalization(axis=1, name="bn")(y)


def a_shared_convolution(x):
    main = layers.Conv2D(4, 1, name="main")
    return [layers.BatchNormalization(name="bn")(main(x)), main(x + 1)]


def a_shared_norm(x):
    norm = layers.BatchNormalization(name="bn")
    y = norm(layers.Conv2D(4, 1, name="main")(x))
    return norm(y + 1)


class Doubled(layers.Conv2D):
    """A convolution that is not linear in its kernel alone."""

    def call(self, inputs):
        return 2 * super().call(inputs) + 1


def a_kind_of_ones_own(x):
    y = Doubled(4, 3, name="main")(x)
    return layers.BatchNormalization(name="bn")(y)


@pytest.mark.parametrize(
    "build",
    [
        two_readers,
        its_output_is_wanted_too,
        norm_first,
        an_activation_between,
        an_activation_layer_between,
        another_axis,
        a_shared_convolution,
        a_shared_norm,
        a_kind_of_ones_own,
    ],
)
def test_a_norm_that_cannot_be_folded_stays(build):
    x = keras.Input((9, 9, 4))
    model = randomise(keras.Model(x, build(x)))
    folded = fold_batch_normalization(model)
    assert "bn" in [layer.name for layer in folded.layers]
    assert_same_outputs(model, folded)


def test_a_norm_that_always_uses_the_batch_stays():
    x = keras.Input((9, 9, 4))
    y = layers.Conv2D(4, 3, name="main")(x)
    y = layers.BatchNormalization(name="bn")(y, training=True)
    assert foldable(keras.Model(x, y)) == {}


def test_channels_first_stays():
    x = keras.Input((4, 9, 9))
    y = layers.Conv2D(4, 3, data_format="channels_first", name="main")(x)
    # axis=-1 would be the width here.
    y = layers.BatchNormalization(axis=-1, name="bn")(y)
    assert foldable(keras.Model(x, y)) == {}


def test_what_can_be_folded_is_folded_beside_what_cannot():
    x = keras.Input((9, 9, 4))
    y = layers.Conv2D(4, 3, name="a")(layers.BatchNormalization(name="pre")(x))
    y = layers.BatchNormalization(name="a_bn")(y)
    y = layers.Conv2D(4, 3, name="b")(y)
    y = layers.BatchNormalization(name="b_bn")(y)
    model = randomise(keras.Model(x, y))
    folded = fold_batch_normalization(model)
    assert [layer.name for layer in folded.layers][1:] == ["pre", "a", "b"]
    assert_same_outputs(model, folded)


def test_trainable_flags_are_kept():
    model = chain(LINEAR["conv"]())
    model.get_layer("main").trainable = False
    folded = fold_batch_normalization(model)
    assert folded.trainable_variables == []
    assert folded.trainable
    model.get_layer("main").trainable = True
    assert len(fold_batch_normalization(model).trainable_variables) == 2
    model.trainable = False
    assert not fold_batch_normalization(model).trainable


def test_flags_inside_an_inner_model_are_kept():
    inner = chain(LINEAR["same strided"]())
    inner.get_layer("bn").trainable = False
    x = keras.Input((9, 9, 4))
    y = layers.Conv2D(4, 1, name="outer")(x)
    y = layers.BatchNormalization(name="outer_bn")(y)
    model = randomise(keras.Model(x, inner(y)))
    folded = fold_batch_normalization(model)
    again = folded.get_layer(inner.name)
    assert again is not inner
    assert not again.get_layer("bn").trainable
    assert again.get_layer("main").trainable
    assert_same_outputs(model, folded)


def a_sequence():
    return keras.Sequential([keras.Input((4,)), layers.Dense(2)])


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("build", [a_sequence, Subclassed])
def test_a_model_that_is_not_functional_is_refused(build):
    with pytest.raises(ValueError, match="must be a functional keras.Model"):
        fold_batch_normalization(build())
