import keras
import pytest
from keras import layers

from dropzoo.layers import StochasticResidual
from dropzoo.models.levels import levels
from dropzoo.models.preprocessing import raw_input_model


def pyramid(shape=(16, 16, 3)):
    """Three levels of resolution and a head."""
    x = y = keras.Input(shape, name="images")
    for stride in (2, 4, 8):
        y = layers.Conv2D(2, 3, 2, padding="same", name=f"conv_{stride}")(y)
        y = layers.ReLU(name=f"relu_{stride}")(y)
    y = layers.GlobalAveragePooling2D(name="features")(y)
    return keras.Model(x, layers.Dense(2, name="logits")(y), name="small")


LEVELS = {"stride_2": "relu_2", "stride_4": "relu_4", "stride_8": "relu_8"}
INNER_LEVELS = {name: f"small/{layer}" for name, layer in LEVELS.items()}


def test_levels_name_the_last_layer_of_each_resolution():
    assert levels(pyramid()) == LEVELS


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


def test_padding_belongs_to_the_convolution_that_reads_it():
    x = keras.Input((16, 16, 3))
    y = layers.Conv2D(2, 3, 2, padding="same", name="fine")(x)
    y = layers.ZeroPadding2D(1, name="pad")(y)
    y = layers.Conv2D(2, 3, 2, name="coarse")(y)
    found = levels(keras.Model(x, y))
    assert found == {"stride_2": "fine", "stride_4": "coarse"}


def test_a_saved_model_has_the_levels_of_the_network_in_it(tmp_path):
    raw_input_model(pyramid()).save(tmp_path / "model.keras")
    saved = keras.saving.load_model(tmp_path / "model.keras")
    assert saved.input_shape == (None, None, None, 3)
    assert levels(saved) == INNER_LEVELS


@pytest.mark.parametrize("shape", [(16, 16, 3), (None, None, 3)])
def test_strides_count_from_the_outermost_image(shape):
    x = keras.Input((32, 32, 3))
    y = layers.Conv2D(3, 3, 2, padding="same", name="stem")(x)
    found = levels(keras.Model(x, pyramid(shape)(y)))
    # An inner model for any size is measured as it is called.
    assert found == {
        "stride_2": "small/images",
        "stride_4": "small/relu_2",
        "stride_8": "small/relu_4",
        "stride_16": "small/relu_8",
    }


def test_a_sequential_model_with_a_network_in_it_has_its_levels():
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), pyramid((None, None, 3)), layers.ReLU()]
    )
    assert levels(model) == INNER_LEVELS


def test_models_in_models_are_followed_all_the_way():
    x, y = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
    middle = keras.Model(x, pyramid()(x), name="middle")
    assert levels(keras.Model(y, middle(y))) == {
        name: f"middle/{layer}" for name, layer in INNER_LEVELS.items()
    }


def test_an_addition_without_a_layer_ends_a_level():
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(3, 3, 2, padding="same")(x)
    z = y + layers.Conv2D(3, 3, padding="same", name="branch")(y)
    addition = z._keras_history.operation.name
    assert levels(keras.Model(x, layers.Flatten()(z))) == {"stride_2": addition}


def test_a_residual_block_is_one_place_of_its_level():
    x, y = keras.Input((8, 8, 3)), keras.Input((4, 4, 3), name="inside")
    branch = keras.Model(y, layers.ReLU()(y), name="branch")
    z = layers.MaxPooling2D(name="pool")(x)
    z = StochasticResidual(branch, rate=0.5, name="block")(z)
    assert levels(keras.Model(x, z)) == {"stride_2": "block"}


@pytest.mark.parametrize("keepdims", [True, False])
def test_pooling_over_the_whole_map_makes_no_level(keepdims):
    x = keras.Input((16, 16, 3))
    y = layers.Conv2D(4, 3, 2, padding="same", name="conv")(x)
    squeeze = layers.GlobalAveragePooling2D(keepdims=True)(y)
    excite = layers.Conv2D(4, 1, activation="sigmoid")(squeeze)
    y = layers.Multiply(name="scaled")([y, excite])
    y = layers.GlobalMaxPooling2D(keepdims=keepdims)(y)
    y = layers.Dropout(0.1)(y)
    assert levels(keras.Model(x, y)) == {"stride_2": "scaled"}


def vectors():
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2, name="logits")(x))


def two_inputs():
    x, y = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    return keras.Model([x, y], layers.Conv2D(1, 2, name="logits")(x + y))


def any_height():
    x = keras.Input((None, None, 3))
    return keras.Model(x, layers.Conv2D(1, 2, 2, name="logits")(x))


def not_built():
    return keras.Sequential([layers.Conv2D(1, 2, 2)])


@pytest.mark.parametrize("build", [vectors, two_inputs, any_height, not_built])
def test_without_one_image_of_known_height_there_are_no_levels(build):
    assert levels(build()) == {}
